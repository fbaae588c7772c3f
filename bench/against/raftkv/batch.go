package raftkv

import "encoding/binary"

// fate is what became of a batch.
type fate uint8

const (
	done    fate = iota
	refused      // nothing happened
	unknown      // it may have taken effect, or may still do so
)

// writeBatch is the writes of one entry of the log. While it is the next batch of its node,
// Node.mu guards it. Then the goroutine at work owns it, until it closes ended.
type writeBatch struct {
	number uint64
	born   uint64 // tick at which the first write came, and later the proposal
	data   []byte // the entry
	found  []bool // for each write whether its key was there; valid when the fate is done
	fate   fate
	ended  chan struct{}
}

// The writes of an entry.
const (
	opSet    = byte(1)
	opRemove = byte(2)
)

// headSize is the size of what an entry begins with: the node that proposed it, and its number.
const headSize = 16

func newWriteBatch(node, number, born uint64) *writeBatch {
	b := &writeBatch{number: number, born: born, ended: make(chan struct{})}
	b.data = binary.LittleEndian.AppendUint64(make([]byte, 0, 512), node)
	b.data = binary.LittleEndian.AppendUint64(b.data, number)
	return b
}

// add appends a write and returns its place in the batch.
func (b *writeBatch) add(op byte, key, value []byte) int {
	b.data = appendBytes(append(b.data, op), key)
	if op == opSet {
		b.data = appendBytes(b.data, value)
	}
	b.found = append(b.found, false)
	return len(b.found) - 1
}

// apply does the writes of an entry, and calls result for each of them, in their order.
func (s *store) apply(entry []byte, result func(found bool)) (err error) {
	for b := entry[headSize:]; len(b) > 0; {
		op := b[0]
		key, rest, ok := cutBytes(b[1:])
		if !ok {
			return errCut
		}
		found := true
		if b = rest; op == opSet {
			var value []byte
			if value, b, ok = cutBytes(b); !ok {
				return errCut
			}
			s.set(key, value)
		} else {
			found = s.remove(key)
		}
		result(found)
	}
	return nil
}

// readBatch is the reads that share one check. Its owners are those of a writeBatch.
type readBatch struct {
	born  uint64
	fate  fate
	ended chan struct{}
}

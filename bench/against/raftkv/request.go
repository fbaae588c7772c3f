package raftkv

import (
	"encoding/binary"
	"runtime"

	"go.etcd.io/raft/v3/raftpb"
)

// write brings a write to its end. Found says whether the key was there before a remove.
func (n *Node) write(op byte, key, value []byte) (found bool, f fate) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return false, refused
	}
	b := n.writes
	if b == nil {
		n.numbers++
		b = newWriteBatch(n.config.ID, n.numbers, n.now.Load())
		n.writes = b
	}
	place := b.add(op, key, value)
	n.mu.Unlock()
	n.gather()
	<-b.ended
	return b.fate == done && b.found[place], b.fate
}

// read returns the value of a key as of some time during the call.
func (n *Node) read(key []byte) (value []byte, found bool, f fate) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil, false, refused
	}
	b := n.reads
	if b == nil {
		b = &readBatch{born: n.now.Load(), ended: make(chan struct{})}
		n.reads = b
	}
	n.mu.Unlock()
	n.gather()
	<-b.ended
	if b.fate != done {
		return nil, false, b.fate
	}
	value, found = n.store.get(key)
	return value, found, done
}

// gather works for the request of this goroutine, after the other goroutines that are ready have
// added their requests.
func (n *Node) gather() {
	runtime.Gosched()
	n.work(roundsOfRequest)
}

// propose begins a batch of writes.
func (n *Node) propose(b *writeBatch) {
	b.born = n.now.Load()
	kind, id := raftpb.MsgProp, n.config.ID
	if err := n.raft.Step(&raftpb.Message{Type: &kind, From: &id, Entries: []*raftpb.Entry{{Data: b.data}}}); err != nil {
		n.end(b, refused) // raft has dropped it
		return
	}
	n.writing[b.number] = b
}

// ask asks the leader what was committed, for the reads under way.
func (n *Node) ask() {
	n.mu.Lock()
	n.numbers++
	n.question = n.numbers
	n.mu.Unlock()
	n.asked, n.readIndex = n.now.Load(), 0
	context := binary.LittleEndian.AppendUint64(make([]byte, 0, headSize), n.config.ID)
	n.raft.ReadIndex(binary.LittleEndian.AppendUint64(context, n.question))
}

// apply applies a committed entry. An entry without data is that of a new leader.
func (n *Node) apply(e *raftpb.Entry) {
	n.log.applied = e.GetIndex()
	data := e.GetData()
	if len(data) < headSize {
		return
	}
	var b *writeBatch
	if binary.LittleEndian.Uint64(data) == n.config.ID {
		b = n.writing[binary.LittleEndian.Uint64(data[8:])]
	}
	place := 0
	must(n.store.apply(data, func(found bool) {
		if b != nil {
			b.found[place] = found
			place++
		}
	}))
	if b != nil {
		delete(n.writing, b.number)
		n.end(b, done)
	}
}

// endReads ends the reads under way when the node has applied what they must see.
func (n *Node) endReads() {
	if n.reading != nil && n.readIndex != 0 && n.log.applied >= n.readIndex {
		n.endRead(done)
	}
}

func (n *Node) end(b *writeBatch, f fate) {
	b.fate = f
	n.answered = append(n.answered, b.ended)
}

func (n *Node) endRead(f fate) {
	n.reading.fate = f
	n.answered = append(n.answered, n.reading.ended)
	n.reading, n.question, n.readIndex = nil, 0, 0
}

// wake lets the requests of ended batches go on.
func (n *Node) wake() {
	for i, ended := range n.answered {
		close(ended)
		n.answered[i] = nil
	}
	n.answered = n.answered[:0]
}

// follow reacts to a change of the leader, or of the connection to it. What was proposed before may
// be lost, and is not proposed again (R4). A question may be lost as well, and is asked again.
func (n *Node) follow() {
	for number, b := range n.writing {
		delete(n.writing, number)
		n.end(b, unknown)
	}
	n.question, n.readIndex = 0, 0
}

// fail ends everything that is under way.
func (n *Node) fail(f fate) {
	for number, b := range n.writing {
		delete(n.writing, number)
		n.end(b, f)
	}
	if n.reading != nil {
		n.endRead(f)
	}
}

// failNext ends the batches that were not begun. n.mu is held.
func (n *Node) failNext() {
	if n.writes != nil {
		n.end(n.writes, refused)
		n.writes = nil
	}
	if n.reads != nil {
		n.reads.fate = refused
		n.answered = append(n.answered, n.reads.ended)
		n.reads = nil
	}
}

// expire ends what has waited for too long, and repeats a question that was not answered.
func (n *Node) expire() {
	now := n.now.Load()
	for number, b := range n.writing {
		if now-b.born > giveUpTicks {
			delete(n.writing, number)
			n.end(b, unknown)
		}
	}
	switch {
	case n.reading == nil:
	case now-n.reading.born > giveUpTicks:
		n.endRead(refused)
	case now-n.asked > askAgainTicks:
		n.question = 0
	}
	n.mu.Lock()
	if n.writes != nil && now-n.writes.born > giveUpTicks || n.reads != nil && now-n.reads.born > giveUpTicks {
		n.failNext()
	}
	n.mu.Unlock()
	for _, l := range n.links {
		if l != nil {
			l.renew()
		}
	}
}

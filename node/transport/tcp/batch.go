package tcp

import (
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"

	"viakv/node/transport"
)

// headerSize is the size of a frame's header in bytes.
const headerSize = 8

// appendHeader appends the header of a frame whose payload has n bytes.
func appendHeader(dst []byte, n int, id uint32) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	return binary.LittleEndian.AppendUint32(dst, id)
}

// batch gathers the frames of many goroutines into few writes on one connection.
type batch struct {
	conn  net.Conn
	limit int

	mu       sync.Mutex
	out      []byte // frames that no write has taken yet
	spare    []byte // the buffer of the last write
	flushing bool   // a goroutine is about to write, or writes
	armed    bool   // the timer of a frame that is not urgent is running
	broken   bool

	deadlineSet time.Time // belongs to the goroutine that writes
}

var errQueueFull = errors.New("tcp: the peer takes too little")

const (
	// patient is how long a frame that is not urgent may wait, to share a write with other frames.
	patient = time.Millisecond
	// writeTime bounds one write. A peer that takes nothing for so long is given up.
	writeTime = 5 * time.Second
	// ownWrites is how many writes a caller makes for others before another goroutine goes on, so
	// that the caller gets its own answer.
	ownWrites = 4
	// keepBuffer is the largest buffer, in bytes, that is kept from one write to the next.
	keepBuffer = 1 << 20
)

// add queues one frame. When flush is true the caller must call flush to write it. Otherwise
// another goroutine or the timer is about to write it.
func (b *batch) add(id uint32, payload []byte, urgent bool) (flush bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken {
		return false, transport.ErrBroken
	}
	if len(b.out)+len(payload) > b.limit {
		return false, errQueueFull
	}
	b.out = appendHeader(b.out, len(payload), id)
	b.out = append(b.out, payload...)
	switch {
	case b.flushing:
	case urgent:
		b.flushing = true
		return true, nil
	case !b.armed:
		b.armed = true
		time.AfterFunc(patient, b.expire)
	}
	return false, nil
}

// refuse queues a frame that says why a call gets no reply. A full queue takes it, too, because it
// is so short. A peer that does not even read such frames is given up.
func (b *batch) refuse(id uint32, reason byte) {
	b.addFrames(appendRefusal(nil, id, reason))
}

// appendRefusal appends a frame that says why a call gets no reply.
func appendRefusal(dst []byte, id uint32, reason byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, refusal|1)
	return append(binary.LittleEndian.AppendUint32(dst, id), reason)
}

// addFrames queues whole frames and writes them. It is for the reader that answers what it has
// read: one write per read.
func (b *batch) addFrames(frames []byte) {
	b.mu.Lock()
	if b.broken || len(b.out)+len(frames) > b.limit+transport.MaxFrame {
		b.mu.Unlock()
		b.fail()
		return
	}
	b.out = append(b.out, frames...)
	if b.flushing {
		b.mu.Unlock()
		return
	}
	b.flushing = true
	b.mu.Unlock()
	b.drain(ownWrites)
}

// expire writes the frames whose time of waiting has ended.
func (b *batch) expire() {
	b.mu.Lock()
	b.armed = false
	if b.flushing || b.broken || len(b.out) == 0 {
		b.mu.Unlock()
		return
	}
	b.flushing = true
	b.mu.Unlock()
	b.drain(-1)
}

// flush writes all frames. If it yields, it first lets the other callers that are ready to run
// append theirs. The yield is what makes one write serve many calls (see doc.go). Where there are
// no others, it would only wake another thread to look for work.
func (b *batch) flush(yield bool) {
	if yield {
		runtime.Gosched()
	}
	b.drain(ownWrites)
}

// drain writes until nothing is left. After the given number of writes it goes on in a goroutine of
// its own. It never does so when writes is negative.
func (b *batch) drain(writes int) {
	for {
		b.mu.Lock()
		if len(b.out) == 0 || b.broken {
			b.flushing = false
			b.mu.Unlock()
			return
		}
		if writes == 0 {
			b.mu.Unlock()
			go b.drain(-1)
			return
		}
		writes--
		buf := b.out
		b.out, b.spare = b.spare[:0], nil
		b.mu.Unlock()

		err := b.arm(time.Now())
		if err == nil {
			_, err = b.conn.Write(buf)
		}
		if err != nil {
			b.fail()
			return
		}
		b.mu.Lock()
		if cap(buf) <= keepBuffer {
			b.spare = buf[:0]
		}
		b.mu.Unlock()
	}
}

// arm makes sure that a write has a deadline. Setting a deadline costs as much as framing several
// calls, so it is moved at most once a second.
func (b *batch) arm(now time.Time) error {
	if now.Sub(b.deadlineSet) < time.Second {
		return nil
	}
	b.deadlineSet = now
	return b.conn.SetWriteDeadline(now.Add(writeTime))
}

// fail ends the connection. Its reader notices that and cleans up.
func (b *batch) fail() {
	b.mu.Lock()
	b.broken, b.flushing, b.out = true, false, nil
	b.mu.Unlock()
	_ = b.conn.Close()
}

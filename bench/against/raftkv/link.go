package raftkv

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// link sends messages to one other node, on a connection of its own. A frame is the length of the
// message in four bytes, and the message.
type link struct {
	to      uint64
	address string
	conn    atomic.Pointer[net.Conn] // nil: there is none
	lost    chan struct{}            // holds one element once the connection is of no more use
	out     []byte                   // not sent yet; the goroutine at work owns it
	snap    bool                     // a snapshot is in out
}

const (
	frameHead = 4
	maxFrame  = 1 << 30
	// greeting is what a connection begins with, so that a stranger's connection is noticed.
	greeting = "viakv raftkv 1\n"

	dialTimeout  = time.Second
	dialAgain    = 50 * time.Millisecond
	writeTimeout = 5 * time.Second
	readBuffer   = 256 << 10
)

// add encodes a message for the next write.
func (l *link) add(m *raftpb.Message) error {
	start := len(l.out)
	b, err := proto.MarshalOptions{}.MarshalAppend(append(l.out, 0, 0, 0, 0), m)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start-frameHead))
	l.out = b
	l.snap = l.snap || m.GetType() == raftpb.MsgSnap
	return nil
}

// flush sends what was added, in one write. False: it was lost.
func (l *link) flush() (sent bool) {
	if c := l.conn.Load(); c != nil {
		if _, err := (*c).Write(l.out); err == nil {
			sent = true
		} else {
			l.drop(*c)
		}
	}
	if cap(l.out) > 1<<20 { // a snapshot
		l.out = nil
	}
	l.out, l.snap = l.out[:0], false
	return sent
}

// renew moves the time at which a write fails. The node renews it at each tick, which costs less
// than at each write.
func (l *link) renew() {
	if c := l.conn.Load(); c != nil {
		_ = (*c).SetWriteDeadline(time.Now().Add(writeTimeout))
	}
}

// drop gives the connection up.
func (l *link) drop(c net.Conn) {
	_ = c.Close()
	if held := l.conn.Load(); held != nil && *held == c && l.conn.CompareAndSwap(held, nil) {
		l.lost <- struct{}{}
	}
}

// dial keeps a connection until stop is closed. It notices the end of a connection by reading from
// it, because the other side sends nothing on it.
func (l *link) dial(stop <-chan struct{}) {
	for {
		c, err := net.DialTimeout("tcp", l.address, dialTimeout)
		if err == nil {
			_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err = io.WriteString(c, greeting); err != nil {
				_ = c.Close()
			}
		}
		if err == nil {
			l.conn.Store(&c)
			ended := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, c)
				l.drop(c)
				close(ended)
			}()
			select {
			case <-l.lost:
				<-ended
			case <-stop:
				_ = c.Close()
				<-ended
				return
			}
		}
		select {
		case <-time.After(dialAgain):
		case <-stop:
			return
		}
	}
}

// receive reads messages until the connection ends. It hands over together what has arrived
// together.
func receive(c net.Conn, deliver func([]*raftpb.Message)) error {
	r := bufio.NewReaderSize(c, readBuffer)
	hello := make([]byte, len(greeting))
	if _, err := io.ReadFull(r, hello); err != nil || string(hello) != greeting {
		return errors.Join(err, errors.New("raftkv: no node has called"))
	}
	var messages []*raftpb.Message
	var frame []byte
	for {
		head, err := r.Peek(frameHead)
		if err != nil {
			return err
		}
		size := int(binary.LittleEndian.Uint32(head))
		if size > maxFrame {
			return fmt.Errorf("raftkv: a frame of %d bytes", size)
		}
		_, _ = r.Discard(frameHead)
		if cap(frame) < size || cap(frame) > 1<<20 {
			frame = make([]byte, size)
		}
		frame = frame[:size]
		if _, err := io.ReadFull(r, frame); err != nil {
			return err
		}
		m := new(raftpb.Message)
		if err := proto.Unmarshal(frame, m); err != nil {
			return err
		}
		if messages = append(messages, m); !wholeFrame(r) {
			deliver(messages)
			messages = nil // the node keeps them
		}
	}
}

// wholeFrame reports whether a whole frame has arrived.
func wholeFrame(r *bufio.Reader) bool {
	if r.Buffered() < frameHead {
		return false
	}
	head, err := r.Peek(frameHead)
	return err == nil && r.Buffered()-frameHead >= int(binary.LittleEndian.Uint32(head))
}

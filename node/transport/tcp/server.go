package tcp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"viakv/node/transport"
)

// flushAt is from how many bytes on the answers to one read are written, although not all of its
// requests are answered yet.
const flushAt = 48 << 10

// accept serves peers until the listener is closed.
func (t *Transport) accept() {
	for {
		conn, err := t.listener.Accept()
		if err != nil {
			return // Accept fails only once the listener is closed
		}
		t.expect(conn)
		if !t.spawn(func(ctx context.Context) { t.serve(ctx, conn) }) {
			t.received(conn)
			_ = conn.Close()
		}
	}
}

// serve answers one peer on one connection. A fault of the connection ends this connection and
// nothing else.
func (t *Transport) serve(ctx context.Context, accepted net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = accepted.Close() })
	defer stop()
	defer func() { _ = accepted.Close() }()
	defer t.survive(accepted)
	defer t.received(accepted)
	conn, class, err := t.receive(ctx, accepted)
	if err != nil {
		t.complain(accepted, err)
		return
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	out := &batch{conn: conn, limit: t.cfg.MaxQueue}
	a := &answerer{t: t, ctx: ctx, class: class, out: out, waiting: make(chan struct{}, t.cfg.MaxWaiting)}
	defer a.pending.Wait() // after cancel, so that the requests under way return
	defer cancel()
	f := newFrames(conn)
	var armed time.Time
	for {
		// A peer asks for a sign of life every KeepAlive. A dialler that sends nothing at all is
		// gone, or is no peer.
		if now := time.Now(); now.Sub(armed) > t.cfg.Patience {
			if conn.SetReadDeadline(now.Add(quietPatiences*t.cfg.Patience)) != nil {
				return
			}
			armed = now
		}
		err := f.next(a.answer)
		if a.heard && !a.known {
			a.known = true
			t.received(accepted)
		}
		if len(a.replies) > 0 {
			out.addFrames(a.replies)
			a.replies = a.replies[:0]
		}
		if err != nil {
			out.fail()
			if errors.Is(err, errTooLong) {
				t.complain(conn, err)
			}
			return
		}
	}
}

// survive turns a panic in a peer's request into the end of that connection. The process goes on:
// the same request may be on its way to all other members.
func (t *Transport) survive(conn net.Conn) {
	cause := recover()
	if cause == nil {
		return
	}
	t.panics.Add(1)
	t.cfg.Logger.Error("a peer's request caused a panic, and its connection is closed", zap.Stringer("from", conn.RemoteAddr()), zap.Any("cause", cause), zap.ByteString("stack", debug.Stack()))
	_ = conn.Close()
}

// answerer answers the requests of one connection.
type answerer struct {
	t       *Transport
	ctx     context.Context
	class   transport.Class
	out     *batch
	replies []byte        // frames that are not queued yet
	waiting chan struct{} // bounds the requests that are answered outside of the reader
	pending sync.WaitGroup

	heard bool // a request has come
	known bool // the transport knows that this is a peer
}

// quietPatiences is how many times Patience an accepted connection may be quiet. The peer at its
// other end has given it up long before, and has another one.
const quietPatiences = 5

// answer answers a request in place, or in a goroutine when the answer may have to wait.
func (a *answerer) answer(id uint32, payload []byte) {
	a.heard = true
	mark := len(a.replies)
	a.replies = appendHeader(a.replies, 0, id)
	if id != keepAliveID {
		replies, ok := a.t.cfg.Handler.ServeInline(a.replies, payload)
		if !ok {
			if a.later(mark, id, payload) {
				return
			}
			replies = a.t.cfg.Handler.Refuse(a.replies[:mark+headerSize], payload)
		}
		a.replies = replies
	}
	// A reply beyond the limit is replaced by a refusal, so that the connection goes on.
	if n := len(a.replies) - mark - headerSize; n > transport.MaxFrame {
		a.t.complainOfReply(n)
		a.replies = appendRefusal(a.replies[:mark], id, refusedTooLong)
	} else {
		binary.LittleEndian.PutUint32(a.replies[mark:], uint32(n))
	}
	if len(a.replies) > flushAt {
		a.out.addFrames(a.replies)
		a.replies = a.replies[:0]
	}
}

// later answers a request in a goroutine, once the replies before the mark are queued. It returns
// false when too many requests wait already, so that this one has to be refused (T4). Too many of
// class Bulk hold up the reader instead, and with it the peer that sends them.
func (a *answerer) later(mark int, id uint32, payload []byte) bool {
	select {
	case a.waiting <- struct{}{}:
	default:
		if a.class == transport.Data {
			return false
		}
		a.flush(mark)
		mark = 0
		select {
		case a.waiting <- struct{}{}:
		case <-a.ctx.Done():
			return true
		}
	}
	a.flush(mark)
	request := bytes.Clone(payload)
	a.pending.Go(func() {
		defer a.t.survive(a.out.conn)
		reply := a.t.cfg.Handler.Serve(a.ctx, nil, request)
		<-a.waiting
		a.send(id, reply)
	})
	return true
}

// flush queues the replies before the mark, and drops what lies behind it.
func (a *answerer) flush(mark int) {
	if mark > 0 {
		a.out.addFrames(a.replies[:mark])
	}
	a.replies = a.replies[:0]
}

// send queues a reply, or a refusal when the reply cannot be sent.
func (a *answerer) send(id uint32, reply []byte) {
	if len(reply) > transport.MaxFrame {
		a.t.complainOfReply(len(reply))
		a.out.refuse(id, refusedTooLong)
		return
	}
	flush, err := a.out.add(id, reply, true)
	switch {
	case errors.Is(err, errQueueFull):
		a.out.refuse(id, refusedQueueFull)
	case err == nil && flush:
		a.out.flush(true)
	}
}

// complain logs why a connection was refused. It logs at most one line a second, so that a port
// scanner cannot fill the log.
func (t *Transport) complain(conn net.Conn, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || !t.mayComplain() {
		return
	}
	t.cfg.Logger.Warn("refused a connection to the peer port", zap.Stringer("from", conn.RemoteAddr()), zap.Error(err))
}

// complainOfReply logs a reply that was too long to be sent: the handler that made it has not kept
// to the limit.
func (t *Transport) complainOfReply(bytes int) {
	if t.mayComplain() {
		t.cfg.Logger.Error("a reply to a peer is longer than a message may be, and was not sent; this is a bug, please report it",
			zap.Int("bytes", bytes), zap.Int("limit", transport.MaxFrame))
	}
}

// mayComplain reports whether the log may get another complaint: at most one a second.
func (t *Transport) mayComplain() bool {
	now := time.Now().UnixNano()
	last := t.complained.Load()
	since := now - last // negative after the clock was set back
	return (since < 0 || since >= int64(time.Second)) && t.complained.CompareAndSwap(last, now)
}

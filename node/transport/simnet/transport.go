package simnet

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"viakv/api/sleep"
	"viakv/node/transport"
)

// Transport is one node's end of the network.
type Transport struct {
	net     *Network
	at      transport.Address
	handler transport.Handler

	mu      sync.Mutex
	ctx     context.Context // nil before Run
	closed  bool
	serial  uint64
	open    map[*transport.Call]flight // calls under way
	heard   map[transport.Address]time.Time
	running sync.WaitGroup
}

// flight is one use of a call: its number, and the address that it was sent to.
type flight struct {
	serial uint64
	to     transport.Address
}

var _ transport.Transport = (*Transport)(nil)

// Run implements transport.Transport.
func (t *Transport) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.mu.Lock()
	t.ctx = ctx
	t.heard = map[transport.Address]time.Time{}
	t.mu.Unlock()
	<-ctx.Done()

	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.fail(func(transport.Address) bool { return true })
	t.running.Wait()
	return nil
}

// fail ends the calls to the addresses for which closed returns true.
func (t *Transport) fail(closed func(to transport.Address) bool) {
	t.mu.Lock()
	var ended []*transport.Call
	for c, f := range t.open {
		if closed(f.to) {
			ended = append(ended, c)
			delete(t.open, c)
		}
	}
	t.mu.Unlock()
	for _, c := range ended {
		end(c, transport.ErrClosed)
	}
}

// spawn runs f in a goroutine that Run waits for. It returns false when the transport does not run.
func (t *Transport) spawn(f func(ctx context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx == nil || t.closed {
		return false
	}
	t.running.Go(func() { f(t.ctx) })
	return true
}

// Go implements transport.Transport.
func (t *Transport) Go(to transport.Address, class transport.Class, call *transport.Call) {
	if len(call.Request) > transport.MaxFrame {
		end(call, fmt.Errorf("%w: %w", transport.ErrTooLarge, transport.ErrNotSent))
		return
	}
	// The copy is made first: once the call is open it may end, and its owner may use it again.
	request := bytes.Clone(call.Request)
	t.mu.Lock()
	ok := t.ctx != nil && !t.closed
	if ok {
		t.serial++
		t.open[call] = flight{t.serial, to}
	}
	serial := t.serial
	t.mu.Unlock()
	if !ok {
		end(call, fmt.Errorf("%w: %w", transport.ErrClosed, transport.ErrNotSent))
		return
	}
	fates := t.net.fates(t, to)
	if len(fates) == 0 && class == transport.Bulk {
		t.breakOff(call, serial)
	}
	for _, delay := range fates {
		t.spawn(func(ctx context.Context) {
			if !sleep.For(ctx, delay) {
				return
			}
			peer := t.net.arrive(t.at, to, ctx.Done())
			if peer == nil {
				return
			}
			peer.spawn(func(pctx context.Context) { peer.answer(pctx, t, call, serial, class, request) })
		})
	}
}

// answer serves a request that has arrived, and sends the reply back.
func (t *Transport) answer(ctx context.Context, from *Transport, call *transport.Call, serial uint64, class transport.Class, request []byte) {
	t.observe(Message{From: from.at, To: t.at, Payload: request})
	var reply []byte
	inline := false
	if class == transport.Data {
		reply, inline = t.handler.ServeInline(nil, bytes.Clone(request))
	}
	if !inline {
		reply = t.handler.Serve(ctx, nil, bytes.Clone(request))
	}
	var refused error
	if len(reply) > transport.MaxFrame {
		reply, refused = nil, fmt.Errorf("simnet: %w", transport.ErrReplyTooLarge)
	}
	fates := t.net.fates(t, from.at)
	if len(fates) == 0 && class == transport.Bulk {
		from.breakOff(call, serial)
	}
	for _, delay := range fates {
		if !t.spawn(func(ctx context.Context) {
			if !sleep.For(ctx, delay) || t.net.arrive(t.at, from.at, ctx.Done()) != from {
				return
			}
			from.complete(call, serial, t.at, request, reply, refused)
		}) {
			return
		}
	}
}

// noticed is how long it takes until a node notices that its bulk connection has broken.
const noticed = 300 * time.Millisecond

// breakOff ends a bulk call whose message was lost, as a broken connection would. A data call waits
// in vain instead, so that tests cover that case.
func (t *Transport) breakOff(call *transport.Call, serial uint64) {
	t.spawn(func(ctx context.Context) {
		if !sleep.For(ctx, noticed) {
			return
		}
		t.mu.Lock()
		mine := t.takeLocked(call, serial)
		t.mu.Unlock()
		if mine {
			end(call, transport.ErrBroken)
		}
	})
}

// takeLocked reports whether one use of a call is still under way, and ends it.
func (t *Transport) takeLocked(call *transport.Call, serial uint64) bool {
	mine := t.open[call].serial == serial
	if mine {
		delete(t.open, call)
	}
	return mine
}

// end completes a call without a reply.
func end(call *transport.Call, err error) {
	call.Err = fmt.Errorf("simnet: %w", err)
	call.Done.Complete(call)
}

// complete ends a call with its first reply, or with the reason why there is none. Later replies
// are dropped.
func (t *Transport) complete(call *transport.Call, serial uint64, from transport.Address, request, reply []byte, refused error) {
	t.mu.Lock()
	mine := t.takeLocked(call, serial)
	t.heard[from] = time.Now()
	t.mu.Unlock()
	if !mine {
		return
	}
	if refused == nil {
		t.observe(Message{From: from, To: t.at, Reply: true, Request: request, Payload: reply})
	}
	call.Reply, call.Err = append(call.Reply[:0], reply...), refused
	call.Done.Complete(call)
}

func (t *Transport) observe(m Message) {
	if t.net.cfg.Observe != nil {
		t.net.cfg.Observe(m)
	}
}

// Cancel implements transport.Transport.
func (t *Transport) Cancel(call *transport.Call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, open := t.open[call]
	delete(t.open, call)
	return open
}

// Health implements transport.Transport. A peer that answered within the last second counts as
// connected.
func (t *Transport) Health(to transport.Address) transport.Health {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.heard[to]
	return transport.Health{Connected: !at.IsZero() && time.Since(at) < time.Second, LastReply: at}
}

// Forget implements transport.Transport.
func (t *Transport) Forget(to transport.Address) {
	t.fail(func(a transport.Address) bool { return a == to })
}

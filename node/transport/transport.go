// Package transport is the contract between a node and the network to its peers. Package tcp
// implements it over real connections, package simnet over a simulated network.
//
// T1. A reply reaches its call at most once. A request may be lost, delayed, delivered more than
// once, or delivered out of order with others. All code above the transport must bear that.
//
// T2. Completion never blocks the transport: Completer.Complete is called from the goroutine that
// reads the connection, and must only pass the result on.
//
// T3. Requests of class Data are answered in the reader where the handler can (ServeInline), so
// these must be lookups and stores in memory. Bulk has a connection of its own: it never delays
// Data.
//
// T4. Nothing holds up the reader of Data. An answer that needs another peer may need the next
// message on the same connection. Readers that wait for each other in a circle would stand still
// until the deadlines. So a request that cannot be answered in the reader is given a goroutine, or,
// beyond a bound, is refused at once. The reader of Bulk waits instead, which holds its peer back:
// no answer there needs a peer.
package transport

import (
	"context"
	"errors"
	"time"
)

// Address is where a node's peers reach it, as host:port.
type Address string

// Class chooses the connection of a request.
type Class uint8

// The classes of requests.
const (
	Data Class = iota // quorum phases, consensus: small and urgent
	Bulk              // sync, rebuild, scans: large and patient
	classes
)

// Classes is the number of classes.
const Classes = int(classes)

// MaxFrame is the longest request or reply in bytes. A longer one is refused before anything is
// allocated for it.
const MaxFrame = 4 << 20

// Errors of a call. All of them leave open whether the peer has seen the request, except those that
// match ErrNotSent.
var (
	// ErrNotSent is matched by the errors of requests that never left this node.
	ErrNotSent = errors.New("transport: not sent")
	// ErrBroken reports that the connection ended before the reply came.
	ErrBroken = errors.New("transport: connection lost")
	// ErrClosed reports that the transport was closed, or was told to forget the address.
	ErrClosed = errors.New("transport: closed")
	// ErrTooLarge reports a request that is longer than MaxFrame.
	ErrTooLarge = errors.New("transport: request too large")
	// ErrReplyTooLarge reports that the peer has served the request, and that its reply is longer
	// than MaxFrame.
	ErrReplyTooLarge = errors.New("transport: the reply is longer than a message may be")
	// ErrPeerFull reports that the peer has served the request, but has too many replies queued to
	// send this one.
	ErrPeerFull = errors.New("transport: the peer has too many replies to send")
)

// Completer receives the end of a call.
type Completer interface {
	// Complete is called once for each call that was started and not cancelled. It must not block
	// (T2), and may start other calls.
	Complete(c *Call)
}

// Call is one request under way. The caller owns it and all its fields before Go, and again after
// completion or a Cancel that returned true. In between only the transport touches it. Calls may be
// reused.
type Call struct {
	// Request is the encoded request. The transport reads it until the call ends. It may be a part
	// of a larger buffer.
	Request []byte
	Reply   []byte    // the reply is appended to Reply[:0]
	Err     error     // nil when there is a reply
	Done    Completer // is told when the call has ended
	// Urgent asks to write the request at once. Otherwise the request may wait at most a
	// millisecond, to share a write with other requests.
	Urgent bool
	// Gathered says that the request has waited for others already. An Urgent one is then written
	// without a wait for the goroutines that are ready to run.
	Gathered bool

	Via  any    // the transport's own note: the connection that the call waits on
	Slot uint64 // the transport's own note: where the call waits there
}

// Transport carries requests to peers, and the requests of peers to the handler that it was made
// with.
type Transport interface {
	// Go starts a call and returns at once. Every failure arrives by completion, too, possibly
	// before Go returns.
	Go(to Address, class Class, c *Call)
	// Cancel withdraws a call. True: the call will not complete, and the caller owns it again.
	// False: the call has completed or is about to.
	Cancel(c *Call) bool
	// Health returns the state of the connection to a peer. It is the zero value for an address
	// that was never called.
	Health(to Address) Health
	// Forget closes the connections to an address that no member has any more, or that leads to
	// another node than it should. Calls that are under way there end with ErrClosed.
	Forget(to Address)
	// Run serves until the context ends. It then closes all connections, and returns when all
	// goroutines have ended.
	Run(ctx context.Context) error
}

// waiter lets a goroutine wait for one call.
type waiter chan *Call

// Complete implements Completer.
func (w waiter) Complete(c *Call) { w <- c }

// Ask sends a request and waits for its reply, which belongs to the caller. When ctx ends first,
// Ask withdraws the call and returns ctx.Err(), unless the call has completed by then.
func Ask(ctx context.Context, t Transport, to Address, class Class, request []byte) ([]byte, error) {
	done := make(waiter, 1)
	c := &Call{Request: request, Done: done, Urgent: true}
	t.Go(to, class, c)
	select {
	case <-done:
		return c.Reply, c.Err
	case <-ctx.Done():
	}
	if t.Cancel(c) {
		return nil, ctx.Err()
	}
	<-done // the call has completed in this moment, or is about to
	return c.Reply, c.Err
}

// Health is the state of the way to a peer.
type Health struct {
	Connected bool          // the data connection stands
	LastReply time.Time     // when something last came back from the peer
	RTT       time.Duration // the smoothed round-trip time of keep-alives
}

// Handler answers peers. The methods append the reply to dst and return it. They borrow request for
// the call.
type Handler interface {
	// ServeInline answers, in the reader's goroutine, a request that needs no waiting. False: it is
	// not such a request, and Serve must answer it.
	ServeInline(dst, request []byte) ([]byte, bool)
	// Serve answers a request in a goroutine of its own, and may block until ctx ends.
	Serve(ctx context.Context, dst, request []byte) []byte
	// Refuse answers a request of class Data that Serve should answer and for which there is no
	// room (T4). It runs in the reader's goroutine.
	Refuse(dst, request []byte) []byte
}

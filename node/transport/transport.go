// Package transport is the contract between a node and the network to its peers. Package tcp
// implements it over real connections, package simnet over a simulated network.
//
// T1. A reply reaches its call at most once. A request may be lost, delayed, delivered more than
// once or out of order with others: everything above must bear that.
//
// T2. Completion never blocks the transport: Completer.Complete is called from the goroutine that
// reads the connection and must only hand the result on.
//
// T3. Requests of class Data are answered in the reader where the handler can (ServeInline), so
// they must be lookups and stores in memory. Bulk has a connection of its own: it never delays
// Data.
//
// T4. Nothing holds up the reader of Data: an answer that needs another peer may need what comes
// next on the same connection, and readers that wait for each other in a circle would stand still
// until the deadlines. So a request that cannot be answered in the reader is given a goroutine, or,
// beyond a bound, refused at once. The reader of Bulk waits instead, which holds its peer back: no
// answer there needs a peer.
package transport

import (
	"context"
	"errors"
	"time"
)

// Address is where a node's peers reach it, host:port.
type Address string

// Class chooses the connection of a request.
type Class uint8

// Classes of requests.
const (
	Data Class = iota // quorum phases, consensus: small and urgent
	Bulk              // sync, rebuild, scans: large and patient
	classes
)

// Classes is the number of classes.
const Classes = int(classes)

// MaxFrame is the longest request or reply in bytes. A longer one is refused before anything is allocated for it.
const MaxFrame = 4 << 20

// Errors of a call. All of them leave open whether the peer has seen the request, except those that match ErrNotSent.
var (
	// ErrNotSent is matched by errors of requests that never left this node.
	ErrNotSent = errors.New("transport: not sent")
	// ErrBroken: the connection ended before the reply came.
	ErrBroken = errors.New("transport: connection lost")
	// ErrClosed: the transport was closed, or told to forget the address.
	ErrClosed = errors.New("transport: closed")
	// ErrTooLarge: the request is longer than MaxFrame.
	ErrTooLarge = errors.New("transport: request too large")
	// ErrReplyTooLarge: the peer has served the request, and its reply is longer than MaxFrame.
	ErrReplyTooLarge = errors.New("transport: the reply is longer than a message may be")
	// ErrPeerFull: the peer has served the request, and has too much to send already to send the
	// reply.
	ErrPeerFull = errors.New("transport: the peer has too many replies to send")
)

// Completer receives the end of a call.
type Completer interface {
	// Complete is called once for each call that was started and not cancelled. It must not block (T2) and may start
	// other calls.
	Complete(c *Call)
}

// Call is one request under way. The caller owns it and all its fields before Go and again after completion or a
// Cancel that returned true; in between only the transport touches it. Calls may be reused.
type Call struct {
	Request []byte    // encoded request, read until the call ends; the caller may put it into a larger buffer
	Reply   []byte    // the reply is appended to Reply[:0]
	Err     error     // nil when there is a reply
	Done    Completer // told about the end
	Urgent  bool      // write at once; false: may wait a moment for company (at most a millisecond)
	Alone   bool      // nobody else is about to call: with Urgent, not even the callers that are ready to run are let in first

	via  any    // the transport's: the connection it waits on
	slot uint64 // the transport's: where it waits there
}

// Via and Slot are what the transport that carries the call has noted in it.
func (c *Call) Via() any { return c.via }

// Slot is the transport's own number for the call.
func (c *Call) Slot() uint64 { return c.slot }

// SetVia is for implementations of Transport, in Go.
func (c *Call) SetVia(via any) { c.via = via }

// SetSlot is for implementations of Transport, under their own lock.
func (c *Call) SetSlot(slot uint64) { c.slot = slot }

// Transport carries requests to peers and peers' requests to the handler it was made with.
type Transport interface {
	// Go starts a call and returns at once. Every failure, too, arrives by completion, possibly before Go returns.
	Go(to Address, class Class, c *Call)
	// Cancel withdraws a call. True: it will not complete, and the caller owns it again. False: it has completed or is about to.
	Cancel(c *Call) bool
	// Health returns what the connection to a peer shows; the zero value for an address never called.
	Health(to Address) Health
	// Forget closes the connections to an address that is no longer a member's, or that leads to
	// another node than it should. Calls that are under way there end with ErrClosed.
	Forget(to Address)
	// Run serves until the context ends, then closes all connections and returns when every goroutine has.
	Run(ctx context.Context) error
}

// Health of the way to a peer.
type Health struct {
	Connected bool          // the data connection stands
	LastReply time.Time     // when something last came back
	RTT       time.Duration // smoothed, of keep-alives
	Err       error         // of the last failed attempt to connect, nil while connected
}

// Handler answers peers. Both methods append the reply to dst and return it; request is borrowed for the call.
type Handler interface {
	// ServeInline answers what needs no waiting, from the reader's goroutine. False: not that kind of request, use Serve.
	ServeInline(dst, request []byte) ([]byte, bool)
	// Serve answers in a goroutine of its own and may block until ctx ends.
	Serve(ctx context.Context, dst, request []byte) []byte
	// Refuse answers a request of class Data that Serve should answer and for which there is no
	// room (T4). It runs in the reader's goroutine.
	Refuse(dst, request []byte) []byte
}

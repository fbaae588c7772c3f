package runner

import (
	"context"
	"time"

	"viakv/bench/workload"
)

// Target is what load is sent to: it gives connections on which requests are pipelined. Safe for
// concurrent use.
type Target interface {
	// Name for reports, as the user wrote it.
	Name() string
	// Connect opens one more connection.
	Connect(ctx context.Context) (Connection, error)
}

// Connection carries pipelined requests. One goroutine appends and flushes while another receives.
type Connection interface {
	// Append queues a request. Key and value are copied. It does not block.
	Append(kind workload.Kind, key, value []byte)
	// Flush sends what is queued.
	Flush() error
	// Receive returns the next answer, in the order of the requests. An error ends the connection:
	// whatever was not answered may have happened.
	Receive() (Answer, error)
	// Buffered reports whether some of the next answer is here already.
	Buffered() bool
	// SetReadDeadline ends a Receive at that time.
	SetReadDeadline(t time.Time)
	// SetWriteDeadline ends a Flush at that time.
	SetWriteDeadline(t time.Time)
	// Close ends everything that blocks. It may be called at any time, from any goroutine.
	Close() error
}

// Answer to a request.
type Answer struct {
	Outcome Outcome
	Status  int    // of HTTP, for the report; 0 elsewhere
	Value   []byte // of a get, until the next Receive
}

// Outcome is what became of a request.
type Outcome uint8

// Outcomes. The zero value is the bad one.
const (
	Failed  Outcome = iota // an error of the target
	OK                     // as asked
	Missing                // there is no such key, which is an answer as good as any
	Refused                // overload or not ready: nothing happened
)

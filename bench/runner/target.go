package runner

import (
	"context"
	"time"

	"viakv/bench/workload"
)

// Target is what load is sent to. It makes connections on which requests are pipelined. It is safe
// for concurrent use.
type Target interface {
	// Name returns the target's name for reports, as the user wrote it.
	Name() string
	// Connect opens one more connection.
	Connect(ctx context.Context) (Connection, error)
}

// Connection carries pipelined requests. One goroutine may append and flush while another one
// receives.
type Connection interface {
	// Append queues a request and does not block. It copies key and value.
	Append(kind workload.Kind, key, value []byte)
	// Flush sends what is queued.
	Flush() error
	// Receive returns the next answer, in the order of the requests. An error ends the connection:
	// requests without an answer may have taken effect.
	Receive() (Answer, error)
	// Buffered reports whether a part of the next answer has arrived.
	Buffered() bool
	// SetReadDeadline sets the time at which a Receive ends.
	SetReadDeadline(t time.Time)
	// SetWriteDeadline sets the time at which a Flush ends.
	SetWriteDeadline(t time.Time)
	// Close ends each call that blocks. Any goroutine may call it at any time.
	Close() error
}

// Answer is the answer to a request.
type Answer struct {
	Outcome Outcome
	Status  int    // of HTTP, for the report; 0 for other protocols
	Value   []byte // of a get; valid until the next Receive
}

// Outcome is what became of a request.
type Outcome uint8

// The outcomes of a request. The zero value is the worst one.
const (
	Failed  Outcome = iota // an error of the target
	OK                     // the request succeeded
	Missing                // there is no such key, which is a good answer
	Refused                // the target did nothing: overload, not ready, bad request
)

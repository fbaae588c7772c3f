// Package listen accepts connections through whatever passes.
//
// To accept fails when descriptors, memory or buffers are short, when a client is gone before it
// was accepted, and for whatever else the system comes up with. None of it is a reason to end a
// process that holds the only copy of its memory. So Accept waits and tries again until the
// listener is closed; that it cannot accept is in the log, in the metrics and in Trouble meanwhile.
package listen

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

const (
	// firstPause and longestPause lie between attempts, as in net/http.
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
	// grace is how long accepting may fail before it counts as trouble: a moment without
	// descriptors is over before a balancer could act.
	grace = time.Second
	// calm is how long nothing must fail until accepting works again. It is longer than any pause,
	// so that no attempt is missed, and keeps a listener that fails and recovers many times a
	// second from filling the log.
	calm = 2 * longestPause
)

// Listener is a listener whose Accept fails only once it is closed. Its methods are safe for
// concurrent use.
type Listener struct {
	net.Listener
	name   string
	log    *zap.Logger
	closed chan struct{}
	close  sync.Once

	mu       sync.Mutex
	cause    error       // of the last failure
	failing  time.Time   // the first failure since a connection was last accepted; zero: none
	began    time.Time   // of the failures that the log has; zero: none
	quiet    *time.Timer // ends them
	failures uint64
}

// Wrap returns a listener that waits out what passes; the given one, if it does so already. The
// name is for the log, which may be nil.
func Wrap(l net.Listener, name string, log *zap.Logger) *Listener {
	if own, ok := l.(*Listener); ok {
		return own
	}
	if log == nil {
		log = zap.NewNop()
	}
	return &Listener{Listener: l, name: name, log: log, closed: make(chan struct{})}
}

// Accept returns the next connection. Its only error is net.ErrClosed, once the listener is closed.
func (l *Listener) Accept() (net.Conn, error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		c, err := l.Listener.Accept()
		select {
		case <-l.closed:
			if err == nil {
				_ = c.Close()
			}
			return nil, net.ErrClosed
		default:
		}
		switch {
		case err == nil:
			l.accepted()
			return c, nil
		case errors.Is(err, net.ErrClosed): // by whoever has the listener below
			return nil, net.ErrClosed
		}
		l.failed(err)
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-l.closed:
			wait.Stop()
			return nil, net.ErrClosed
		}
	}
}

func (l *Listener) accepted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = time.Time{}
}

func (l *Listener) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures++
	l.cause = err
	now := time.Now()
	if l.failing.IsZero() {
		l.failing = now
	}
	if !l.began.IsZero() {
		l.quiet.Reset(calm)
		return
	}
	l.began = now
	l.quiet = time.AfterFunc(calm, l.recovered)
	l.log.Error("cannot accept connections; those that stand are served, and it is tried again and again",
		zap.String("listener", l.name), zap.Stringer("address", l.Addr()), zap.Error(err))
}

// recovered ends a row of failures. That nothing failed for so long means that Accept has got a
// connection, or waits for one.
func (l *Listener) recovered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.began.IsZero() {
		return // closed meanwhile
	}
	l.log.Info("accepting connections again", zap.String("listener", l.name), zap.Stringer("address", l.Addr()),
		zap.Duration("after", time.Since(l.began)-calm))
	l.began, l.failing = time.Time{}, time.Time{}
}

// Trouble says why no connection could be accepted for a while; nil when that is not so.
func (l *Listener) Trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing.IsZero() || time.Since(l.failing) < grace {
		return nil
	}
	cause := l.cause
	if errno := syscall.Errno(0); errors.As(cause, &errno) {
		cause = errno // without the names of calls around it
	}
	return fmt.Errorf("no connection can be accepted at %s: %w", l.Addr(), cause)
}

// Failures returns how many attempts to accept have failed so far.
func (l *Listener) Failures() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures
}

// Close closes the listener and ends Accept. Closing it again does nothing.
func (l *Listener) Close() (err error) {
	l.close.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.began, l.failing = time.Time{}, time.Time{}
		if l.quiet != nil {
			l.quiet.Stop()
		}
	})
	return err
}

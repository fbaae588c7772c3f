// Package listen accepts connections, and waits out the failures to do so.
//
// Accepting fails when descriptors, memory or buffers are short, when a client is gone before it
// was accepted, and for other reasons of the system. None of them is a reason to end a process that
// holds the only copy of its memory. So Accept waits and tries again until the listener is closed.
// Meanwhile the log, the metrics and Trouble say that it cannot accept.
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
	// firstPause and longestPause bound the pause between two attempts, as in net/http.
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
	// grace is how long accepting may fail before it counts as trouble. A moment without
	// descriptors is over before a balancer could act.
	grace = time.Second
	// calm is how long no attempt must fail before accepting counts as working again. It is longer
	// than any pause, so that no attempt is missed. It also keeps a listener that fails and
	// recovers many times a second from filling the log.
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
	cause    error       // the last failure
	failing  time.Time   // the first failure since a connection was last accepted; zero: none
	began    time.Time   // when the failures began that the log has; zero: none
	quiet    *time.Timer // ends the failures that the log has
	failures uint64
}

// Wrap returns a listener over l that waits out failures. It returns l itself if that does so
// already. The name is for the log; log may be nil.
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
		case errors.Is(err, net.ErrClosed): // the owner of the listener below has closed it
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
	l.log.Error("cannot accept connections; open ones are still served, and accepting is retried until it works",
		zap.String("listener", l.name), zap.Stringer("address", l.Addr()), zap.Error(err))
}

// recovered ends a row of failures. Nothing has failed for the time of calm: Accept has got a
// connection, or waits for one.
func (l *Listener) recovered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.began.IsZero() {
		return // the listener was closed meanwhile
	}
	l.log.Info("accepting connections again", zap.String("listener", l.name), zap.Stringer("address", l.Addr()),
		zap.Duration("after", time.Since(l.began)-calm))
	l.began, l.failing = time.Time{}, time.Time{}
}

// Trouble returns why no connection could be accepted for a while, and nil when there is no such
// reason.
func (l *Listener) Trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing.IsZero() || time.Since(l.failing) < grace {
		return nil
	}
	cause := l.cause
	if errno, ok := errors.AsType[syscall.Errno](cause); ok {
		cause = errno // leaves out the names of the calls around it
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

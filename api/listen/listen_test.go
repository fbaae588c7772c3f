package listen

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a listener that fails as long as it is told to. Otherwise Accept blocks until there
// is a connection.
type scripted struct {
	mu          sync.Mutex
	err         error
	connections chan net.Conn
	closed      chan struct{}
}

func newScripted() *scripted {
	return &scripted{connections: make(chan net.Conn, 1), closed: make(chan struct{})}
}

func (s *scripted) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *scripted) Accept() (net.Conn, error) {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case c := <-s.connections:
		return c, nil
	case <-s.closed:
		return nil, io.EOF // a listener may say anything then
	}
}

func (s *scripted) connect() {
	c, _ := net.Pipe()
	s.connections <- c
}

func (s *scripted) Close() error {
	close(s.closed)
	return errors.New("closed with a complaint")
}

func (s *scripted) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9} }

// accepting is a listener under test, with what its Accept has returned.
type accepting struct {
	*Listener
	inner    *scripted
	accepted chan net.Conn
	ended    chan error
	logs     *observer.ObservedLogs
}

func start() *accepting {
	core, logs := observer.New(zap.InfoLevel)
	inner := newScripted()
	a := &accepting{Listener: Wrap(inner, "test", zap.New(core)), inner: inner, accepted: make(chan net.Conn, 8), ended: make(chan error, 1), logs: logs}
	return a
}

func (a *accepting) run() {
	for {
		c, err := a.Accept()
		if err != nil {
			a.ended <- err
			return
		}
		_ = c.Close()
		a.accepted <- c
	}
}

func (a *accepting) stop(t *testing.T) {
	t.Helper()
	if err := a.Close(); err == nil || !strings.Contains(err.Error(), "complaint") {
		t.Errorf("Close: %v, want what the inner listener says", err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if err := <-a.ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept ended with %v, want net.ErrClosed", err)
	}
}

// Whatever the system says, the listener goes on. The log has the failure once and the recovery
// once.
func TestEveryFailureIsWaitedOut(t *testing.T) {
	for _, cause := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM,
		syscall.EINVAL, io.EOF, errors.New("something else"),
	} {
		synctest.Test(t, func(t *testing.T) {
			a := start()
			a.inner.fail(&net.OpError{Op: "accept", Net: "tcp", Err: cause})
			go a.run()
			time.Sleep(grace / 2)
			if err := a.Trouble(); err != nil {
				t.Errorf("%v: trouble at once: %v", cause, err)
			}
			time.Sleep(10 * grace)
			if err := a.Trouble(); !errors.Is(err, cause) {
				t.Errorf("%v: trouble is %v", cause, err)
			}
			// The pauses are 5, 10, 20 … ms, and then a second: never a busy loop, never a long
			// sleep.
			if n := a.Failures(); n < 12 || n > 25 {
				t.Errorf("%v: %d attempts in ten seconds", cause, n)
			}
			a.inner.fail(nil)
			a.inner.connect()
			<-a.accepted
			if err := a.Trouble(); err != nil {
				t.Errorf("%v: trouble after a connection was accepted: %v", cause, err)
			}
			time.Sleep(calm + time.Second)
			if n := a.logs.FilterMessageSnippet("cannot accept").Len(); n != 1 {
				t.Errorf("%v: %d lines of failure, want 1", cause, n)
			}
			if n := a.logs.FilterMessageSnippet("again").FilterLevelExact(zap.InfoLevel).Len(); n != 1 {
				t.Errorf("%v: %d lines of recovery, want 1", cause, n)
			}
			a.stop(t)
		})
	}
}

// The listener notices that it can accept again, even if no client connects.
func TestItRecoversWithoutAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := start()
		a.inner.fail(syscall.EMFILE)
		go a.run()
		time.Sleep(5 * time.Second)
		a.inner.fail(nil)
		time.Sleep(longestPause + calm + time.Second)
		if err := a.Trouble(); err != nil {
			t.Error(err)
		}
		if n := a.logs.FilterMessageSnippet("accepting connections again").Len(); n != 1 {
			t.Errorf("%d lines of recovery, want 1", n)
		}
		a.stop(t)
	})
}

// A listener that fails now and then, and accepts in between, is no trouble and does not fill the
// log.
func TestFlickeringIsOneRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := start()
		go a.run()
		for range 50 {
			synctest.Wait()
			a.inner.fail(syscall.EMFILE)
			a.inner.connect() // the Accept that blocks takes this connection; the next Accept fails
			<-a.accepted
			time.Sleep(100 * time.Millisecond)
			a.inner.fail(nil)
			time.Sleep(400 * time.Millisecond)
			if err := a.Trouble(); err != nil {
				t.Fatal(err)
			}
		}
		if n := a.logs.Len(); n != 1 {
			t.Errorf("%d log lines, want 1: %v", n, a.logs.All())
		}
		a.stop(t)
	})
}

func TestCloseEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := start()
		a.inner.fail(syscall.EMFILE)
		go a.run()
		time.Sleep(10 * time.Second)
		before := time.Now()
		a.stop(t)
		if took := time.Since(before); took != 0 {
			t.Errorf("Accept went on for %v", took)
		}
	})
}

// The owner of the listener below may close that instead.
func TestClosedBelow(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Wrap(inner, "test", nil)
	if err := inner.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) || l.Failures() != 0 {
		t.Errorf("%v, %d failures", err, l.Failures())
	}
}

func TestWrappedOnce(t *testing.T) {
	l := Wrap(newScripted(), "test", nil)
	if Wrap(l, "another", zap.NewNop()) != l {
		t.Error("a listener that waits was wrapped again")
	}
}

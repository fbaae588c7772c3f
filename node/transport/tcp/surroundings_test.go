package tcp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"viakv/node/transport"
)

// deaf is a listener that cannot accept as long as cause is set.
type deaf struct {
	net.Listener
	cause atomic.Pointer[error]
}

func (d *deaf) Accept() (net.Conn, error) {
	if cause := d.cause.Load(); cause != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: *cause}
	}
	return d.Listener.Accept()
}

// When a peer port cannot accept for a while, for whatever reason, the transport and the node go
// on. Peers that are connected are answered meanwhile. Other peers are answered as soon as they can
// be accepted.
func TestWhatCannotBeAcceptedIsWaitedFor(t *testing.T) {
	for _, cause := range []error{os.NewSyscallError("accept4", syscall.EMFILE), os.NewSyscallError("accept4", syscall.ENOBUFS), errors.New("deaf")} {
		var d *deaf
		p := newPair(t, func(_, b *Config) {
			d = &deaf{Listener: b.Listener}
			b.Listener = d
		})
		if _, err := ask(t, p.a, p.addressB, transport.Data, []byte{2}); err != nil {
			t.Fatal(err)
		}
		d.cause.Store(&cause)
		if _, err := ask(t, p.a, p.addressB, transport.Bulk, []byte{2}); err != nil {
			t.Error(err) // Accept was waiting for this connection already
		}
		p.a.Forget(p.addressB)
		if _, err := ask(t, p.a, p.addressB, transport.Bulk, []byte{2}); err == nil {
			t.Fatal("a connection was accepted: the test proves nothing")
		}
		d.cause.Store(nil)
		eventually(t, "an answer on a new connection", func() bool {
			_, err := ask(t, p.a, p.addressB, transport.Data, []byte{2})
			return err == nil
		})
		p.stopB()
	}
}

// Connections that bring no request hold few descriptors, however many there are, with or without a
// hello. Peers get through meanwhile.
func TestStrangersGiveWayToPeers(t *testing.T) {
	t.Run("silent", func(t *testing.T) { strangersGiveWay(t, func(net.Conn) error { return nil }) })
	t.Run("with a hello", func(t *testing.T) {
		strangersGiveWay(t, func(c net.Conn) error { return greet(c, hello{name: "x"}, time.Minute) })
	})
}

func strangersGiveWay(t *testing.T, begin func(net.Conn) error) {
	const most = 4
	core, logs := observer.New(zap.WarnLevel)
	p := newPair(t, func(_, b *Config) {
		b.MaxGreeting, b.DialTimeout, b.Patience, b.Logger = most, time.Hour, time.Hour, zap.New(core)
	})
	gone := make(chan error, 100)
	for range cap(gone) {
		c := p.connect(t)
		if err := begin(c); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := c.Read(make([]byte, 1))
			gone <- err
		}()
	}
	for range cap(gone) - most {
		if err := <-gone; err != io.EOF {
			t.Fatal(err)
		}
	}
	for class := range transport.Classes {
		if _, err := ask(t, p.a, p.addressB, transport.Class(class), []byte{2}); err != nil {
			t.Error(err)
		}
	}
	if n := logs.FilterMessageSnippet("refused").Len(); n < 1 || n > 20 {
		t.Errorf("%d log lines, want a few", n)
	}
	p.stopB()
	for range most {
		<-gone
	}
}

// A connection that was a peer's and is quiet now is closed: its peer is gone without having closed
// it.
func TestAQuietConnectionIsClosed(t *testing.T) {
	p := newPair(t, func(_, b *Config) { b.KeepAlive, b.Patience = 5*time.Millisecond, 10*time.Millisecond })
	c := p.connect(t)
	if err := greet(c, hello{name: "x"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	keepAlive := appendHeader(nil, 0, keepAliveID)
	if _, err := c.Write(keepAlive); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, keepAlive); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(keepAlive); err != io.EOF {
		t.Errorf("%v, want the end", err)
	}
}

// faulty is a handler that panics, in the reader or in a goroutine of its own.
type faulty struct{ echo }

func (f faulty) ServeInline(dst, request []byte) ([]byte, bool) {
	if string(request) == "inline" {
		panic("a fault")
	}
	if string(request) == "beside" {
		return dst, false
	}
	return f.echo.ServeInline(dst, request)
}

func (faulty) Serve(context.Context, []byte, []byte) []byte { panic("another fault") }

// A request that makes this program panic ends its connection and not the process: the same request
// is on its way to the other members as well.
func TestAPanicEndsItsConnectionAlone(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	p := newPair(t, func(_, b *Config) { b.Handler, b.Logger = faulty{}, zap.New(core) })
	for i, request := range []string{"inline", "beside"} {
		if _, err := ask(t, p.a, p.addressB, transport.Data, []byte(request)); !errors.Is(err, transport.ErrBroken) {
			t.Errorf("%s: %v", request, err)
		}
		eventually(t, "an answer afterwards", func() bool {
			_, err := ask(t, p.a, p.addressB, transport.Data, []byte{2})
			return err == nil
		})
		// The peer may see its connection end before the fault is counted and logged.
		eventually(t, "the fault to be counted and logged", func() bool { return p.b.Panics() == uint64(i+1) && logs.Len() == i+1 })
	}
	for _, e := range logs.All() {
		if stack, _ := e.ContextMap()["stack"].(string); !strings.Contains(stack, "surroundings_test.go") {
			t.Errorf("%v does not say where the panic came from", e)
		}
	}
}

package tcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"viakv/node/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ask(t testing.TB, tr *Transport, to transport.Address, class transport.Class, request []byte) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return transport.Ask(ctx, tr, to, class, request)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestManyCallersGetTheirOwnReplies(t *testing.T) {
	p := newPair(t, nil)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for j := range 200 {
				want := 2 + (i+j)%100
				class := transport.Class(j % transport.Classes)
				reply, err := ask(t, p.a, p.addressB, class, []byte{byte(want)})
				if err != nil || len(reply) != want {
					t.Errorf("reply of %d bytes, want %d: %v", len(reply), want, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestSlowRequestsDoNotHoldUpOthers(t *testing.T) {
	release := make(chan struct{})
	p := newPair(t, func(_, b *Config) {
		b.Handler = echo{slow: func(ctx context.Context, request []byte) []byte {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return request
		}}
	})
	slow, done := p.start(slowly, 42)
	if reply, err := ask(t, p.a, p.addressB, transport.Data, []byte{7}); err != nil || len(reply) != 7 {
		t.Fatalf("the reply behind a slow request: %d bytes, %v", len(reply), err)
	}
	close(release)
	<-done
	if slow.Err != nil || !bytes.Equal(slow.Reply, []byte{slowly, 42}) {
		t.Fatalf("the reply to the slow request: %x, %v", slow.Reply, slow.Err)
	}
}

func TestPatientCallsAreSentSoon(t *testing.T) {
	p := newPair(t, nil)
	done := make(waiting, 1)
	call := &transport.Call{Request: []byte{3}, Done: done}
	p.a.Go(p.addressB, transport.Data, call)
	<-done
	if call.Err != nil || len(call.Reply) != 3 {
		t.Fatal(call.Reply, call.Err)
	}
}

func TestCancelledCallsNeverComplete(t *testing.T) {
	release := make(chan struct{})
	p := newPair(t, func(_, b *Config) {
		b.Handler = echo{slow: func(context.Context, []byte) []byte { <-release; return nil }}
	})
	defer close(release)
	// Connect first: a call that waits for a connection would never be sent.
	if _, err := ask(t, p.a, p.addressB, transport.Data, []byte{2}); err != nil {
		t.Fatal(err)
	}
	call, done := p.start(slowly)
	if !p.a.Cancel(call) {
		t.Fatal("not cancelled")
	}
	if p.a.Cancel(call) {
		t.Fatal("cancelled twice")
	}
	// The same call is used again at once: the reply to its first use must not complete the second
	// one.
	call.Request = []byte{5}
	p.a.Go(p.addressB, transport.Data, call)
	<-done
	if call.Err != nil || len(call.Reply) != 5 {
		t.Fatal(call.Reply, call.Err)
	}
	release <- struct{}{}
	select {
	case <-done:
		t.Fatal("completed after its cancellation")
	case <-time.After(20 * time.Millisecond):
	}
}

func TestLargeFrames(t *testing.T) {
	p := newPair(t, func(_, b *Config) {
		b.Handler = echo{slow: func(_ context.Context, r []byte) []byte { return r }}
	})
	big := bytes.Repeat([]byte{slowly}, transport.MaxFrame)
	reply, err := ask(t, p.a, p.addressB, transport.Bulk, big)
	if err != nil || len(reply) != len(big) {
		t.Fatalf("%d bytes, %v", len(reply), err)
	}
	if _, err := ask(t, p.a, p.addressB, transport.Bulk, append(big, 1)); !errors.Is(err, transport.ErrTooLarge) || !errors.Is(err, transport.ErrNotSent) {
		t.Fatal(err)
	}
}

// long answers every request but "x" with more than a message may have, in place or later.
type long struct{}

func (long) ServeInline(dst, request []byte) ([]byte, bool) {
	if request[0] == slowly {
		return dst, false
	}
	if request[0] == 'x' {
		return append(dst, "short"...), true
	}
	return append(dst, make([]byte, transport.MaxFrame+1)...), true
}

func (long) Refuse(dst, _ []byte) []byte { return dst }

func (long) Serve(context.Context, []byte, []byte) []byte { return make([]byte, transport.MaxFrame+1) }

// A call whose reply is too long fails at once. The connection goes on, and so do all other calls
// on it.
func TestAReplyThatIsTooLongIsAnError(t *testing.T) {
	core, seen := observer.New(zap.ErrorLevel)
	var connections *counted
	p := newPair(t, func(_, b *Config) {
		connections = &counted{Listener: b.Listener}
		b.Listener, b.Handler, b.Logger = connections, long{}, zap.New(core)
	})
	for _, request := range [][]byte{{slowly}, {'y'}, {slowly}} {
		if _, err := ask(t, p.a, p.addressB, transport.Bulk, request); !errors.Is(err, transport.ErrReplyTooLarge) || errors.Is(err, transport.ErrNotSent) {
			t.Fatalf("%q: %v", request, err)
		}
		if reply, err := ask(t, p.a, p.addressB, transport.Bulk, []byte("x")); err != nil || string(reply) != "short" {
			t.Fatalf("the next call: %q %v", reply, err)
		}
	}
	if n := connections.n.Load(); n != 1 {
		t.Errorf("%d connections were made, want one", n)
	}
	if seen.Len() == 0 {
		t.Error("the node that made the replies has logged nothing")
	}
}

// counted counts the connections that it accepts.
type counted struct {
	net.Listener
	n atomic.Int32
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// A peer that takes nothing for a while gets the replies that fit its queue. For the others it gets
// refusals.
func TestAReplyThatFindsTheQueueFullIsAnError(t *testing.T) {
	here, there := net.Pipe()
	defer func() { _ = there.Close() }()
	out := &batch{conn: here, limit: 1 << 20}
	a := &answerer{out: out}
	reply := make([]byte, 1<<20-headerSize)
	writing := make(chan struct{})
	go func() { // blocks until the peer reads
		defer close(writing)
		a.send(1, reply)
	}()
	eventually(t, "the first reply is being written", func() bool {
		out.mu.Lock()
		defer out.mu.Unlock()
		return out.flushing && len(out.out) == 0
	})
	a.send(2, reply)
	a.send(3, reply)
	f := newFrames(there)
	var got []uint32
	refused := map[uint32]error{}
	f.refused = func(id uint32, reason byte) { refused[id] = refusalError(reason) }
	for len(got)+len(refused) < 3 {
		if err := f.next(func(id uint32, _ []byte) { got = append(got, id) }); err != nil {
			t.Fatal(err)
		}
	}
	<-writing
	if !slices.Equal(got, []uint32{1, 2}) || refused[3] != transport.ErrPeerFull {
		t.Errorf("replies to %d, refused %v", got, refused)
	}
}

// Peers refuse replies, never requests. A frame that looks like a refusal of a request ends the
// connection, like a frame that is too long.
func TestARefusalIsNoRequest(t *testing.T) {
	here, there := net.Pipe()
	go func() { _, _ = here.Write(appendRefusal(nil, 7, refusedTooLong)) }()
	defer func() { _ = here.Close() }()
	if err := newFrames(there).next(func(uint32, []byte) { t.Error("the refusal is visited as a request") }); err != errTooLong {
		t.Error(err)
	}
}

func TestNobodyThere(t *testing.T) {
	p := newPair(t, nil)
	l := listener(t, "127.0.0.1:0")
	gone := transport.Address(l.Addr().String())
	_ = l.Close()
	for range 3 { // the first call dials, the others meet the rest between attempts
		if _, err := ask(t, p.a, gone, transport.Data, []byte{1}); !errors.Is(err, transport.ErrNotSent) {
			t.Fatal(err)
		}
	}
	if h := p.a.Health(gone); h.Connected {
		t.Fatalf("%+v", h)
	}
}

func TestPeerThatStopsAndComesBack(t *testing.T) {
	p := newPair(t, nil)
	if _, err := ask(t, p.a, p.addressB, transport.Data, []byte{2}); err != nil {
		t.Fatal(err)
	}
	p.stopB()
	eventually(t, "the loss noticed", func() bool { return !p.a.Health(p.addressB).Connected })
	l := listener(t, string(p.addressB))
	run(t, Config{Listener: l, Handler: echo{}})
	eventually(t, "connected again", func() bool {
		_, err := ask(t, p.a, p.addressB, transport.Data, []byte{2})
		return err == nil
	})
}

// A peer that is back has connected by itself. A call to it must not fail because of the rest that
// failed attempts to connect have brought.
func TestAPeerThatIsBackIsCalledAtOnce(t *testing.T) {
	p := newPair(t, nil)
	p.stopB()
	for class := range transport.Class(transport.Classes) {
		if _, err := ask(t, p.a, p.addressB, class, []byte{2}); !errors.Is(err, transport.ErrNotSent) {
			t.Fatal(err)
		}
		c := p.a.client(p.addressB, class)
		c.mu.Lock()
		c.nextAttempt = time.Now().Add(time.Hour)
		c.mu.Unlock()
	}
	back, _ := run(t, Config{Listener: listener(t, string(p.addressB)), Handler: echo{}, Address: p.addressB})
	if _, err := ask(t, back, p.addressA, transport.Data, []byte{2}); err != nil {
		t.Fatal(err)
	}
	for class := range transport.Class(transport.Classes) {
		if _, err := ask(t, p.a, p.addressB, class, []byte{2}); err != nil {
			t.Error(err)
		}
	}
}

func TestCallsUnderWayFailWithTheConnection(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	p := newPair(t, func(_, b *Config) { // the answer would come too late
		b.Handler = echo{slow: func(context.Context, []byte) []byte { close(entered); <-release; return nil }}
	})
	call, done := p.start(slowly)
	<-entered
	stopped := make(chan struct{})
	go func() {
		p.stopB()
		close(stopped)
	}()
	<-done
	close(release)
	<-stopped
	if !errors.Is(call.Err, transport.ErrBroken) || errors.Is(call.Err, transport.ErrNotSent) {
		t.Fatalf("%v: the peer has seen the request", call.Err)
	}
}

// The peer is a black hole: the connection stands and nothing comes back.
func TestSilentPeerIsGivenUp(t *testing.T) {
	hole := listener(t, "127.0.0.1:0")
	defer func() { _ = hole.Close() }()
	var held sync.WaitGroup
	held.Go(func() {
		conn, err := hole.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := welcome(conn, hello{name: "hole"}, time.Second); err != nil {
			t.Error(err)
		}
		_, _ = io.Copy(io.Discard, conn)
	})
	p := newPair(t, func(a, _ *Config) { a.KeepAlive, a.Patience = 10*time.Millisecond, 50*time.Millisecond })
	began := time.Now()
	_, err := ask(t, p.a, transport.Address(hole.Addr().String()), transport.Data, []byte{1})
	if !errors.Is(err, transport.ErrBroken) || !errors.Is(err, errSilent) {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Fatalf("took %v", took)
	}
	held.Wait()
}

func TestKeepAliveMeasures(t *testing.T) {
	p := newPair(t, func(a, _ *Config) { a.KeepAlive = 5 * time.Millisecond })
	if _, err := ask(t, p.a, p.addressB, transport.Data, []byte{1}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a round-trip time", func() bool { return p.a.Health(p.addressB).RTT > 0 })
}

// FuzzServer feeds a listener's reader arbitrary bytes after a good hello.
func FuzzServer(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x05\x00\x00\x00\x07"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\x05\x00\x00\x00"))
	p := newPair(f, nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		conn := p.connect(t)
		if err := greet(conn, hello{name: "fuzz"}, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(b)
		_ = conn.CloseWrite()
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection stays open")
		}
	})
}

// Clients compare an address with the addresses of a certificate, and a name with its names.
func TestCertificatesAreGoodForNamesAndAddresses(t *testing.T) {
	dir := t.TempDir()
	if _, err := MakeCertificates(dir, []string{"node-a", "10.1.2.3"}, "fd00::7", "kv.example.com"); err != nil {
		t.Fatal(err)
	}
	for name, hosts := range map[string][]string{
		"node-a":   {"node-a", "localhost", "127.0.0.1", "::1", "fd00::7", "kv.example.com"},
		"10.1.2.3": {"10.1.2.3", "localhost", "kv.example.com"},
	} {
		cert, _, err := loadPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range hosts {
			if err := cert.VerifyHostname(host); err != nil {
				t.Error(err)
			}
		}
		if cert.VerifyHostname("10.9.9.9") == nil || cert.VerifyHostname("example.com") == nil {
			t.Errorf("%s: the certificate is good for other hosts", name)
		}
	}
}

func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	files, err := MakeCertificates(dir, []string{"a", "b"})
	if err != nil || len(files) != 6 {
		t.Fatal(files, err)
	}
	if _, err := MakeCertificates(dir, []string{"a"}); err == nil {
		t.Fatal("overwrote a key")
	}
	other := t.TempDir()
	if _, err := MakeCertificates(other, []string{"x"}); err != nil {
		t.Fatal(err)
	}
	with := func(c *Config, dir, name string) {
		var err error
		if c.TLS, err = Credentials(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"), filepath.Join(dir, "ca.crt"), zap.NewNop()); err != nil {
			t.Fatal(err)
		}
	}
	p := newPair(t, func(a, b *Config) { with(a, dir, "a"); with(b, dir, "b") })
	if _, err := ask(t, p.a, p.addressB, transport.Data, []byte{1}); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(a, b *Config){
		"a stranger's certificate": func(a, b *Config) { with(a, other, "x"); with(b, dir, "b") },
		"no certificate":           func(_, b *Config) { with(b, dir, "b") },
	} {
		p := newPair(t, change)
		if _, err := ask(t, p.a, p.addressB, transport.Data, []byte{1}); err == nil {
			t.Errorf("%s: the peer was let in", what)
		}
	}
}

// Files that have changed are used within a second. While they cannot be loaded, the last good ones
// stay in use, and the log has the reason.
func TestCredentialsAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if _, err := MakeCertificates(dir, []string{"a", "b"}); err != nil {
			t.Fatal(err)
		}
		cert, key, ca := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key"), filepath.Join(dir, "ca.crt")
		core, logs := observer.New(zap.ErrorLevel)
		get, err := Credentials(cert, key, ca, zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		first, _ := get()
		for from, to := range map[string]string{"b.crt": cert, "b.key": key} {
			if err := os.Rename(filepath.Join(dir, from), to); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		second, err := get()
		if err != nil || first == second {
			t.Fatalf("the credentials were not read again: %v", err)
		}
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if kept, err := get(); err != nil || kept != second {
			t.Fatalf("the last good credentials were given up: %v", err)
		}
		if entries := logs.All(); len(entries) != 1 || !strings.Contains(fmt.Sprint(entries[0].ContextMap()), "a.key") {
			t.Errorf("the log does not name the missing file once: %v", entries)
		}
		if _, err := Credentials(cert, key, ca, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "a.key") {
			t.Fatalf("the error does not name the missing file: %v", err)
		}
	})
}

func TestForgetAndVia(t *testing.T) {
	p := newPair(t, nil)
	l := listener(t, "127.0.0.1:0")
	tr, _ := run(t, Config{Listener: l, Handler: echo{}, Via: map[transport.Address]transport.Address{"b.example:1": p.addressB}})
	if reply, err := ask(t, tr, "b.example:1", transport.Data, []byte{4}); err != nil || len(reply) != 4 {
		t.Fatal(reply, err)
	}
	tr.Forget("b.example:1")
	if tr.Health("b.example:1").Connected {
		t.Fatal("not forgotten")
	}
}

func TestForgetEndsWhatIsUnderWay(t *testing.T) {
	entered := make(chan struct{})
	p := newPair(t, func(_, b *Config) {
		b.Handler = echo{slow: func(ctx context.Context, request []byte) []byte { close(entered); <-ctx.Done(); return request }}
	})
	call, done := p.start(slowly)
	<-entered
	p.a.Forget(p.addressB)
	if <-done; !errors.Is(call.Err, transport.ErrClosed) || errors.Is(call.Err, transport.ErrNotSent) {
		t.Fatal(call.Err)
	}
}

func TestStoppedTransport(t *testing.T) {
	p := newPair(t, nil)
	p.stopA()
	if _, err := ask(t, p.a, p.addressB, transport.Data, []byte{1}); !errors.Is(err, transport.ErrClosed) || !errors.Is(err, transport.ErrNotSent) {
		t.Fatal(err)
	}
	if err := p.a.Run(context.Background()); err == nil {
		t.Fatal("ran twice")
	}
	if _, err := New(Config{Patience: time.Millisecond}); err == nil {
		t.Fatal("an empty configuration was accepted")
	}
}

// T4: when as many requests wait as may wait, the next one is refused. Requests that are answered
// in the reader still are. If the reader waited for room, two nodes whose answers need each other
// would stand still.
func TestWaitingRequestsDoNotHoldUpTheReader(t *testing.T) {
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	p := newPair(t, func(_, b *Config) {
		b.MaxWaiting = 4
		b.Handler = echo{slow: func(context.Context, []byte) []byte { <-release; return []byte("late") }}
	})
	defer free()
	done := make(waiting, 4)
	for range 4 {
		p.a.Go(p.addressB, transport.Data, &transport.Call{Request: []byte{slowly}, Done: done, Urgent: true})
	}
	for range 3 { // each round: a refusal, then an answer in place
		eventually(t, "a refusal", func() bool {
			reply, err := ask(t, p.a, p.addressB, transport.Data, []byte{slowly})
			return err == nil && string(reply) == "r"
		})
		if reply, err := ask(t, p.a, p.addressB, transport.Data, []byte{7}); err != nil || len(reply) != 7 {
			t.Fatalf("the reply behind the requests that wait: %d bytes, %v", len(reply), err)
		}
	}
	free()
	for range 4 {
		<-done
	}
	if reply, err := ask(t, p.a, p.addressB, transport.Data, []byte{slowly}); err != nil || string(reply) != "late" {
		t.Fatalf("a slow request with room again: %q, %v", reply, err)
	}
}

// T4: too many requests of class Bulk hold their sender back instead, because no answer there needs
// another peer.
func TestWaitingBulkRequestsHoldTheirSenderBack(t *testing.T) {
	release := make(chan struct{})
	var entered atomic.Int64
	p := newPair(t, func(_, b *Config) {
		b.MaxWaiting = 2
		b.Handler = echo{slow: func(context.Context, []byte) []byte { entered.Add(1); <-release; return []byte("late") }}
	})
	done := make(waiting, 6)
	calls := make([]transport.Call, 6)
	for i := range calls {
		calls[i] = transport.Call{Request: []byte{slowly}, Done: done, Urgent: true}
		p.a.Go(p.addressB, transport.Bulk, &calls[i])
	}
	eventually(t, "two have begun", func() bool { return entered.Load() == 2 })
	close(release)
	for range calls {
		<-done
	}
	for i := range calls {
		if calls[i].Err != nil || string(calls[i].Reply) != "late" {
			t.Errorf("%q, %v", calls[i].Reply, calls[i].Err)
		}
	}
}

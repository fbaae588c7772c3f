package tcp

import (
	"context"
	"net"
	"testing"

	"viakv/node/transport"
)

type waiting chan struct{}

func (w waiting) Complete(*transport.Call) { w <- struct{}{} }

// echo answers in place with 200 bytes, or with as many as the request's first byte says. Where
// that is slowly, Serve answers.
type echo struct {
	slow func(ctx context.Context, request []byte) []byte
}

const slowly = 1

func (e echo) ServeInline(dst, request []byte) ([]byte, bool) {
	if len(request) > 0 && request[0] == slowly {
		return dst, false
	}
	n := 200
	if len(request) > 0 {
		n = int(request[0])
	}
	for range n {
		dst = append(dst, 'x')
	}
	return dst, true
}

// Refuse answers with one byte.
func (e echo) Refuse(dst, _ []byte) []byte { return append(dst, 'r') }

func (e echo) Serve(ctx context.Context, dst, request []byte) []byte {
	if e.slow != nil {
		return append(dst, e.slow(ctx, request)...)
	}
	return append(dst, request...)
}

// pair is two transports on loopback. The first calls the second.
type pair struct {
	a, b               *Transport
	addressA, addressB transport.Address
	stopA, stopB       func()
}

func newPair(t testing.TB, change func(a, b *Config)) *pair {
	t.Helper()
	var configs [2]Config
	var addresses [2]transport.Address
	for i := range configs {
		l := listener(t, "127.0.0.1:0")
		addresses[i] = transport.Address(l.Addr().String())
		configs[i] = Config{Listener: l, Handler: echo{}, Name: string(rune('a' + i))}
	}
	if change != nil {
		change(&configs[0], &configs[1])
	}
	p := &pair{addressA: addresses[0], addressB: addresses[1]}
	p.a, p.stopA = run(t, configs[0])
	p.b, p.stopB = run(t, configs[1])
	return p
}

func listener(t testing.TB, at string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// connect opens a connection to the second transport, which knows nothing of it yet. The end of the
// test closes it.
func (p *pair) connect(t testing.TB) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", string(p.addressB))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

// start starts a call of the first transport to the second. What it returns is told when the call
// has ended.
func (p *pair) start(request ...byte) (*transport.Call, waiting) {
	done := make(waiting, 1)
	call := &transport.Call{Request: request, Done: done, Urgent: true}
	p.a.Go(p.addressB, transport.Data, call)
	return call, done
}

// run starts a transport. The returned function stops it and waits for its end.
func run(t testing.TB, c Config) (*Transport, func()) {
	t.Helper()
	tr, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tr.Run(ctx) }()
	for !tr.spawn(func(context.Context) {}) { //nolint:revive // until Run runs
	}
	stop := func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		ended <- nil
	}
	t.Cleanup(stop)
	return tr, stop
}

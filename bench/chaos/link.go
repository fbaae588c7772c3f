package chaos

import (
	"context"
	"net"
	"sync"
	"time"

	"viakv/api/listen"
)

// link carries the connections that one node makes to another.
type link struct {
	fabric   *fabric
	from, to int
	target   string
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// newLink listens on a port of the kernel's choice for the connections of node from to node to.
func newLink(f *fabric, from, to int, target string) (*link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &link{fabric: f, from: from, to: to, target: target, listener: listen.Wrap(l, "link", nil)}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.running.Go(k.accept)
	return k, nil
}

func (k *link) address() string { return k.listener.Addr().String() }

// close cuts all connections and waits for what carries them.
func (k *link) close() {
	k.cancel()
	_ = k.listener.Close()
	k.running.Wait()
}

func (k *link) accept() {
	for {
		near, err := k.listener.Accept()
		if err != nil {
			return
		}
		k.running.Go(func() { k.carry(near) })
	}
}

const dialTimeout = 2 * time.Second

// carry connects to the target, and copies in both directions until either side ends or the weather
// refuses.
func (k *link) carry(near net.Conn) {
	defer func() { _ = near.Close() }()
	if w, _ := k.fabric.look(k.from, k.to); w.refused {
		return
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	far, err := dialer.DialContext(k.ctx, "tcp", k.target)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	ctx, cancel := context.WithCancel(k.ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		_ = near.Close()
		_ = far.Close()
	})
	defer stop()
	var copying sync.WaitGroup
	copying.Go(func() { defer cancel(); k.fabric.pump(ctx, near, far, k.from, k.to) })
	copying.Go(func() { defer cancel(); k.fabric.pump(ctx, far, near, k.to, k.from) })
	copying.Go(func() { defer cancel(); k.fabric.watchRefusal(ctx, k.from, k.to) })
	copying.Wait()
}

// watchRefusal returns when the weather refuses, so that a connection is cut even while it is idle.
func (f *fabric) watchRefusal(ctx context.Context, a, b int) {
	for {
		there, changed := f.look(a, b)
		back, _ := f.look(b, a)
		if there.refused || back.refused {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

const (
	pieceBytes = 32 << 10
	// piecesHeld is how many pieces may wait. More block the sender, as a full TCP window does.
	piecesHeld = 64
)

type piece struct {
	bytes []byte
	came  time.Time
}

// pump copies one direction. It reads and delivers in separate goroutines, so that a delay does not
// reduce the throughput.
func (f *fabric) pump(ctx context.Context, src, dst net.Conn, from, to int) {
	pieces := make(chan piece, piecesHeld)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(pieces)
		for {
			b := make([]byte, pieceBytes)
			n, err := src.Read(b)
			if n > 0 {
				select {
				case pieces <- piece{b[:n], time.Now()}:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	for p := range pieces {
		if !f.pass(ctx, from, to, p.came) {
			break
		}
		if _, err := dst.Write(p.bytes); err != nil {
			break
		}
	}
	_ = src.Close() // ends the reader
	for range pieces {
		continue // until the reader has finished
	}
	reading.Wait()
}

package simnet

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/node/transport"
)

// counting is a handler that answers with the request, and counts. Serve answers a request that
// begins with an s.
type counting struct{ served atomic.Int64 }

func (c *counting) ServeInline(dst, request []byte) ([]byte, bool) {
	if len(request) > 0 && request[0] == 's' {
		return dst, false
	}
	c.served.Add(1)
	return append(dst, request...), true
}

func (c *counting) Refuse(dst, _ []byte) []byte { return dst }

func (c *counting) Serve(_ context.Context, dst, request []byte) []byte {
	c.served.Add(1)
	if len(request) == transport.MaxFrame {
		dst = append(dst, 'x')
	}
	return append(dst, request...)
}

// world is two nodes, a and b, inside a bubble.
type world struct {
	net  *Network
	a, b *Transport
	at   *counting // b's handler
}

func in(t *testing.T, cfg Config, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{net: New(cfg), at: &counting{}}
		w.a, w.b = w.net.Node("a", &counting{}), w.net.Node("b", w.at)
		ctx, stop := context.WithCancel(context.Background())
		for _, n := range []*Transport{w.a, w.b} {
			go func() {
				if err := n.Run(ctx); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		test(t, w)
		stop()
		synctest.Wait()
	})
}

// ask sends a request to b, and waits for the reply at most for the time within.
func (w *world) ask(class transport.Class, request string, within time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	reply, err := transport.Ask(ctx, w.a, "b", class, []byte(request))
	return string(reply), err
}

// The network has the limit of TCP: a request beyond it is not sent, and a reply beyond it is an
// error.
func TestMessagesHaveALimit(t *testing.T) {
	in(t, Config{}, func(t *testing.T, w *world) {
		longest := "s" + strings.Repeat("x", transport.MaxFrame-1)
		if _, err := w.ask(transport.Bulk, longest[1:], time.Second); err != nil {
			t.Errorf("a message below the limit: %v", err)
		}
		if _, err := w.ask(transport.Bulk, longest, time.Second); !errors.Is(err, transport.ErrReplyTooLarge) || errors.Is(err, transport.ErrNotSent) {
			t.Errorf("a reply beyond the limit: %v", err)
		}
		if _, err := w.ask(transport.Bulk, longest+"x", time.Second); !errors.Is(err, transport.ErrTooLarge) || !errors.Is(err, transport.ErrNotSent) {
			t.Errorf("a request beyond the limit: %v", err)
		}
		if n := w.at.served.Load(); n != 2 {
			t.Errorf("%d requests were served, want two", n)
		}
	})
}

func TestCallsAreAnswered(t *testing.T) {
	in(t, Config{}, func(t *testing.T, w *world) {
		for _, class := range []transport.Class{transport.Data, transport.Bulk} {
			for _, request := range []string{"inline", "slow"} {
				began := time.Now()
				reply, err := w.ask(class, request, time.Second)
				if err != nil || reply != request {
					t.Errorf("%q: %q, %v", request, reply, err)
				}
				if took := time.Since(began); took < 2*time.Millisecond || took > 4*time.Millisecond {
					t.Errorf("two calm hops took %v", took)
				}
			}
		}
		if !w.a.Health("b").Connected || w.b.Health("a").Connected {
			t.Error("Health is wrong: only a has heard an answer")
		}
	})
}

func TestDuplicatesAreServedTwiceAndAnsweredOnce(t *testing.T) {
	in(t, Config{Duplicate: 1}, func(t *testing.T, w *world) {
		if reply, err := w.ask(transport.Data, "x", time.Second); err != nil || reply != "x" {
			t.Fatal(reply, err)
		}
		time.Sleep(time.Second)
		if n := w.at.served.Load(); n != 2 {
			t.Errorf("served %d times", n)
		}
	})
}

func TestLoss(t *testing.T) {
	in(t, Config{Loss: 1}, func(t *testing.T, w *world) {
		if _, err := w.ask(transport.Data, "x", time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a lost data call: %v", err)
		}
		if _, err := w.ask(transport.Bulk, "x", time.Second); !errors.Is(err, transport.ErrBroken) {
			t.Errorf("a lost bulk call: %v", err)
		}
		w.net.HealAll()
		if _, err := w.ask(transport.Data, "x", time.Second); err != nil {
			t.Errorf("healed: %v", err)
		}
	})
}

func TestCutsAreOneWay(t *testing.T) {
	in(t, Config{}, func(t *testing.T, w *world) {
		w.net.Cut("b", "a") // requests arrive, replies do not
		if _, err := w.ask(transport.Data, "x", time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("answered through a cut: %v", err)
		}
		if n := w.at.served.Load(); n != 1 {
			t.Errorf("served %d times", n)
		}
		w.net.Heal("b", "a")
		if _, err := w.ask(transport.Data, "x", time.Second); err != nil {
			t.Error(err)
		}
	})
}

// A misled message is answered by the node that it reaches. Only the messages of one sender are
// misled.
func TestMisledMessagesArriveElsewhere(t *testing.T) {
	in(t, Config{}, func(t *testing.T, w *world) {
		asks := func(to transport.Address) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, err := transport.Ask(ctx, w.a, to, transport.Data, []byte("x"))
			return err
		}
		if err := asks("elsewhere"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an address without a node: %v", err)
		}
		w.net.Mislead("a", "elsewhere", "b")
		if err := asks("elsewhere"); err != nil || w.at.served.Load() != 1 {
			t.Errorf("%v, and b has served %d requests", err, w.at.served.Load())
		}
		w.net.Mislead("a", "b", "a")
		if err := asks("b"); err != nil || w.at.served.Load() != 1 {
			t.Errorf("%v, and b has served %d requests", err, w.at.served.Load())
		}
		w.net.Cut("a", "b")
		if err := asks("b"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("answered through a cut: %v", err)
		}
	})
}

func TestAPauseDelaysAndLosesNothing(t *testing.T) {
	in(t, Config{}, func(t *testing.T, w *world) {
		w.net.Pause("b")
		go func() {
			time.Sleep(500 * time.Millisecond)
			w.net.Resume("b")
		}()
		began := time.Now()
		if _, err := w.ask(transport.Data, "x", 5*time.Second); err != nil || time.Since(began) < 500*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestTheKilledAreSilent(t *testing.T) {
	in(t, Config{}, func(t *testing.T, w *world) {
		w.net.Kill("a")
		if _, err := w.ask(transport.Data, "x", time.Second); err == nil || w.at.served.Load() != 0 {
			t.Errorf("a killed node's message arrived: %v", err)
		}
	})
}

func TestCancel(t *testing.T) {
	in(t, Config{}, func(t *testing.T, w *world) {
		done := make(chan *transport.Call, 2)
		c := &transport.Call{Request: []byte("x"), Done: completer(done)}
		w.a.Go("b", transport.Data, c)
		if !w.a.Cancel(c) || w.a.Cancel(c) {
			t.Fatal("the first Cancel failed, or the second succeeded")
		}
		c.Request = []byte("y") // used again at once
		w.a.Go("b", transport.Data, c)
		time.Sleep(time.Second)
		if n := len(done); n != 1 {
			t.Fatalf("%d completions", n)
		}
		if <-done; string(c.Reply) != "y" {
			t.Errorf("reply %q", c.Reply)
		}
	})
}

type completer chan *transport.Call

func (c completer) Complete(call *transport.Call) { c <- call }

func TestForgetFailsWhatIsOpenThere(t *testing.T) {
	in(t, Config{}, func(t *testing.T, w *world) {
		done := make(completer, 2)
		lost, other := &transport.Call{Request: []byte("x"), Done: done}, &transport.Call{Request: []byte("y"), Done: done}
		w.a.Go("b", transport.Data, lost)
		w.a.Go("a", transport.Data, other)
		w.a.Forget("b")
		if c := <-done; c != lost || !errors.Is(c.Err, transport.ErrClosed) {
			t.Errorf("%q ended first: %v", c.Request, c.Err)
		}
		if c := <-done; c != other || c.Err != nil {
			t.Errorf("%q ended second: %v", c.Request, c.Err)
		}
	})
}

func TestAStoppedTransportFailsWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := New(Config{Loss: 1})
		a := net.Node("a", &counting{})
		done := make(completer, 2)
		c := &transport.Call{Request: []byte("x"), Done: done}
		a.Go("b", transport.Data, c) // before Run
		if <-done; !errors.Is(c.Err, transport.ErrNotSent) {
			t.Error(c.Err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		a.Go("b", transport.Data, c)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if <-done; !errors.Is(c.Err, transport.ErrClosed) {
			t.Error(c.Err)
		}
	})
}

// The owner of a completed call may use it again before the Go that sent it returns. The race
// detector checks that.
func TestACallThatHasEndedIsItsOwners(t *testing.T) {
	a := New(Config{Loss: 1}).Node("a", &counting{})
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	for !a.spawn(func(context.Context) {}) {
		time.Sleep(time.Millisecond)
	}
	done := make(again, 1)
	c := &transport.Call{Request: []byte("x"), Done: done}
	a.Go("b", transport.Data, c)
	<-done
	if !errors.Is(c.Err, transport.ErrClosed) || errors.Is(c.Err, transport.ErrNotSent) {
		t.Error(c.Err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// again is a Completer that changes its calls at once, as an owner does who uses them again.
type again chan struct{}

func (a again) Complete(call *transport.Call) {
	call.Request = append(call.Request[:0], 'y')
	a <- struct{}{}
}

func TestHarshHasATail(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	slow := 0
	for range 1000 {
		d := Harsh(r)
		if d < time.Millisecond || d > 460*time.Millisecond {
			t.Fatal(d)
		}
		if d > 60*time.Millisecond {
			slow++
		}
	}
	if slow < 150 || slow > 350 {
		t.Errorf("%d of 1000 are slow", slow)
	}
}

package topology

import (
	"context"
	"testing"
	"time"

	"viakv/api/health"
)

// What answers at a member's address tells of the member: it is itself, it hangs, it has ended,
// another process has its name, or another node is there.
func TestWhoAnswers(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		says := func(name string, want health.Reach) {
			t.Helper()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if got := a.m.WhoAnswers(ctx, name); got != want {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
		says("a", health.Answers)
		says("b", health.Answers)
		says("c", health.Answers)
		says("d", health.Unheard)
		w.net.isolate(b.id.Peer, true)
		says("b", health.Silent)
		w.net.isolate(b.id.Peer, false)
		b.crash()
		c.crash()
		says("b", health.NoConnection)
		says("c", health.NoConnection)
		// Neither is let in again without a majority.
		w.start("b", seeds("a", "b", "c"))
		w.start("x", at(c.id.Peer))
		time.Sleep(time.Second)
		says("b", health.Restarted)
		says("c", health.Elsewhere)
	})
}

// The node that is joining is a member in this, too.
func TestWhoAnswersForTheNodeThatIsJoining(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a")
		w.agree(time.Second, a)
		b := w.start("b", via("a"), stuck)
		w.until("b is joining", 20*time.Second, func() bool { return a.m.current().Joining != nil })
		if got := a.m.WhoAnswers(w.ctx(time.Second), "b"); got != health.Answers {
			t.Errorf("%v", got)
		}
		b.crash()
		if got := a.m.WhoAnswers(w.ctx(time.Second), "b"); got != health.NoConnection {
			t.Errorf("after its end: %v", got)
		}
		w.start("b")
		if got := a.m.WhoAnswers(w.ctx(time.Second), "b"); got != health.Restarted {
			t.Errorf("as another process: %v", got)
		}
	})
}

// A poll asks all processes at once, and ends in time though some do not answer.
func TestAPollAsksAll(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		found := a.m.poll(w.ctx(time.Second), a.m.current())
		for _, p := range []*process{a, b, c} {
			if !found.has(p.id.BootID) {
				t.Errorf("%s: %v", p.id.Name, found[p.id.BootID])
			}
		}
		b.crash()
		w.net.isolate(c.id.Peer, true)
		began := time.Now()
		found = a.m.poll(w.ctx(time.Minute), a.m.current())
		if took := time.Since(began); took > pollTime {
			t.Errorf("it took %v", took)
		}
		if found[b.id.BootID] != health.NoConnection || found[c.id.BootID] != health.Silent || !found.has(a.id.BootID) {
			t.Errorf("%v", found)
		}
	})
}

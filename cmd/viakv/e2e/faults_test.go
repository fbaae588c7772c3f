package e2e

import (
	"context"
	"os"
	"testing"
	"time"

	"viakv/bench/chaos"
	"viakv/cmd/viakv/viakvtest"
)

// oneFault is a fault from which a cluster must recover. It is over when make returns.
type oneFault struct {
	name string
	make func(t *testing.T, l *chaos.Lab)
}

// aWhile is how long a fault lasts: long enough to be noticed, and longer with VIAKV_TEST_FAULTS.
func aWhile() time.Duration {
	if os.Getenv("VIAKV_TEST_FAULTS") != "" {
		return 1500 * time.Millisecond
	}
	return 400 * time.Millisecond
}

// network returns a fault of the network that comes, stays for a while, and goes.
func network(name string, come func(l *chaos.Lab)) oneFault {
	return oneFault{name, func(_ *testing.T, l *chaos.Lab) {
		come(l)
		time.Sleep(aWhile())
		l.Calm()
	}}
}

func restart(t *testing.T, l *chaos.Lab, i int) {
	t.Helper()
	l.Kill(i)
	if err := l.Start(i); err != nil {
		t.Error(err)
	}
}

// singleFaults are the single faults from which the cluster must recover. No fault loses, repeats
// or reorders the bytes of a connection, because TCP does not do that: it ends the connection.
var singleFaults = []oneFault{
	network("delay", func(l *chaos.Lab) { l.Delay(2, 60*time.Millisecond) }),
	network("connections end", func(l *chaos.Lab) { l.Refuse(1) }),
	network("one-way cut", func(l *chaos.Lab) { l.Cut(0, 2) }),
	network("isolation", func(l *chaos.Lab) { l.Isolate(0) }),
	{"pause", func(_ *testing.T, l *chaos.Lab) {
		l.Pause(1)
		time.Sleep(2 * aWhile())
		l.Resume(1)
	}},
	{"slow node", func(_ *testing.T, l *chaos.Lab) {
		for began := time.Now(); time.Since(began) < aWhile(); {
			l.Pause(2)
			time.Sleep(45 * time.Millisecond)
			l.Resume(2)
			time.Sleep(5 * time.Millisecond)
		}
	}},
	{"kill", func(t *testing.T, l *chaos.Lab) { restart(t, l, 0) }},
	{"kill, and again while it rebuilds", func(t *testing.T, l *chaos.Lab) {
		restart(t, l, 2)
		time.Sleep(150 * time.Millisecond)
		restart(t, l, 2)
	}},
	{"joins and leaves", func(t *testing.T, l *chaos.Lab) {
		spare := l.Spare()
		for range 2 {
			if err := l.Start(spare); err != nil {
				t.Error(err)
			}
			if err := l.Settle(t.Context(), 2*viakvtest.Patience); err != nil {
				t.Error(err)
			}
			if _, err := l.Client(0).Leave(t.Context(), l.Name(spare), false); err != nil {
				t.Error(err)
			}
			l.Kill(spare)
		}
	}},
	{"a member leaves and joins", func(t *testing.T, l *chaos.Lab) {
		if _, err := l.Client(1).Leave(t.Context(), "", false); err != nil {
			t.Error(err)
		}
		if _, err := l.Client(1).Join(t.Context(), l.Peer(0)); err != nil {
			t.Error(err)
		}
	}},
}

// Writes go on during each single fault. Within ten seconds after it, all members hold the same,
// and what was removed stays removed. A getAll beside more writes has each key that was
// acknowledged before it began, once. VIAKV_TEST_KEYS says how many keys there are.
func TestAfterEachFaultAllIsThere(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("makes a dozen faults to real processes")
	}
	n := 3_000
	if os.Getenv("VIAKV_TEST_KEYS") != "" {
		n = manyKeys(t)
	}
	l := lab(t, 3)
	b := newBook(t, l, n)
	began := time.Now()
	b.fill()
	t.Logf("%d keys in %v", n, time.Since(began).Round(time.Millisecond))
	for round, f := range singleFaults {
		write, stop := context.WithCancel(t.Context())
		written := b.write(write, round)
		f.make(t, l)
		over := time.Now()
		time.Sleep(aWhile()) // so that writes go on during the recovery, too
		stop()
		b.learn(written())
		agreed := b.agree(over)
		took, seen := b.scan(round)
		t.Logf("%-34s %5d new keys in it, whole again after %v, of which writes went on for %v; getAll of %d keys in %v", f.name, b.added,
			agreed.Round(time.Millisecond), aWhile(), seen, took.Round(time.Millisecond))
		if b.added == 0 {
			t.Error("no write was acknowledged during the fault and the recovery")
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	b.purged()
	b.cleared()
}

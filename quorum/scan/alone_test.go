package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// inBubble runs a test with a mesh of three in virtual time.
func inBubble(t *testing.T, test func(t *testing.T, s *mesh, scans *Scans, x *reads)) {
	synctest.Test(t, func(t *testing.T) {
		s, scans, x := reading(t)
		test(t, s, scans, x)
	})
}

// askedOf returns how many requests the members have had, and forgets them.
func (s *mesh) askedOf() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.asked {
		n += k
	}
	clear(s.asked)
	return n
}

// L3: a scan at a node that answers from its own copy asks no member. It reads what is not known to
// be complete. A scan that brings an r asks as many replicas.
func TestAScanAtAHolderOfLeasesAsksNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, s *mesh, scans *Scans, x *reads) {
		s.put("key-0001", written(2, "newer"), 0, 2) // complete, and a copy lacks it
		s.put("key-0003", written(openFrom, "open"), 0, 1, 2)
		s.put("key-0004", removed(written(openFrom+1, ""), openFrom+2), 0, 1, 2)
		s.Lease(0, 1)
		for i, c := range []struct {
			o     kv.ScanOptions
			n     int
			read  []string
			asked bool
		}{
			{kv.ScanOptions{}, 299, []string{"key-0003", "key-0004"}, false},
			{kv.ScanOptions{Snapshot: true}, 299, nil, false}, // the read has shown that they are complete
			{kv.ScanOptions{Prefix: "key-01"}, 100, nil, false},
			{kv.ScanOptions{Options: kv.Options{R: kv.QuorumMajority}}, 299, nil, true},
		} {
			c.o.Values = true
			m := all(t, scans, c.o)
			if got := x.read(); len(m) != c.n || !c.asked && !slices.Equal(got, c.read) {
				t.Errorf("%d: %d keys, read %v", i, len(m), got)
			}
			if n := s.askedOf(); n > 0 != c.asked {
				t.Errorf("%d: asked %d times", i, n)
			}
			if c.o.Prefix == "" && (m["key-0001"] != "newer" || m["key-0003"] != "open") {
				t.Errorf("%d: %q %q", i, m["key-0001"], m["key-0003"])
			}
		}
		if got := scans.Stats(); got.Alone == 0 || got.Agreed == 0 {
			t.Errorf("%+v", got)
		}
	})
}

// L3: a scan looks at its leases before it looks at its copy. What was copied before a lease began
// may lack what was complete.
func TestALeaseThatBeginsAfterTheCopyDoesNotCount(t *testing.T) {
	inBubble(t, func(t *testing.T, s *mesh, scans *Scans, _ *reads) {
		write := func(replicas ...int) {
			for i := range 3000 {
				s.put(fmt.Sprintf("key-%04d", i), written(2, "complete"), replicas...)
			}
		}
		write(1, 2)
		var copied atomic.Int32
		s.before = func(op string, _ int) {
			if op != "own" {
				return
			}
			if copied.Add(1) == firstRound { // most of the first round was copied
				write(0)
				s.Lease(0, 1)
			}
		}
		for key, value := range all(t, scans, kv.ScanOptions{Values: true}) {
			if value != "complete" {
				t.Errorf("%s has %q", key, value)
			}
		}
	})
}

// A scan is a use of leases: they do not pause while it goes on. A scan that brings an r has no use
// for them.
func TestAScanUsesLeases(t *testing.T) {
	_, scans, x := reading(t)
	held := x.Current().Held
	for _, c := range []struct {
		r      kv.Quorum
		paused bool
	}{{0, false}, {2, true}} {
		held.Pause()
		held.Pause()
		all(t, scans, kv.ScanOptions{Options: kv.Options{R: c.r}})
		if held.Pause() != c.paused {
			t.Errorf("r=%v: paused %v", c.r, !c.paused)
		}
	}
}

// A lease that ends during a scan costs the rest of the scan its peers, and nothing else.
func TestAScanGoesOnWhenItsLeasesEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, s *mesh, scans *Scans, _ *reads) {
		s.fill(3000)
		s.Lease(0, 1)
		sc, err := scans.Scan(context.Background(), kv.ScanOptions{Values: true})
		if err != nil {
			t.Fatal(err)
		}
		defer sc.Close()
		first := len(next(t, sc).Pairs)
		time.Sleep(time.Second)
		s.put("key-0002", written(2, "newer"), 1, 2) // nobody waits for this node any more
		rest := drain(t, sc)
		if first+len(rest) != 3000 || s.askedOf() == 0 {
			t.Errorf("%d and %d keys", first, len(rest))
		}
		if got := scans.Stats(); got.Alone == 0 || got.Agreed == 0 {
			t.Errorf("%+v", got)
		}
	})
}

// A snapshot that was taken at a holder of leases shows one state, or says that the data moved.
func TestASnapshotAtAHolderNoticesAWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, s *mesh, scans *Scans, _ *reads) {
		s.fill(3000)
		s.Lease(0, 1)
		sc, err := scans.Scan(context.Background(), kv.ScanOptions{Snapshot: true})
		if err != nil {
			t.Fatal(err)
		}
		defer sc.Close()
		next(t, sc)
		for i := range 3000 {
			s.put(fmt.Sprintf("key-%04d", i), written(2, "newer"), 0, 1, 2)
		}
		var b kv.Batch
		for ok := true; ok && err == nil; {
			ok, err = sc.Next(context.Background(), &b)
		}
		if !errors.Is(err, kv.ErrSnapshotMoved) || s.askedOf() > 0 {
			t.Errorf("%v", err)
		}
	})
}

// slowly is a reader that takes a while, and counts how many reads are under way.
type slowly struct {
	*reads
	took          time.Duration
	underway, max atomic.Int32
	fails         string
}

func (x *slowly) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	n := x.underway.Add(1)
	defer x.underway.Add(-1)
	for m := x.max.Load(); n > m && !x.max.CompareAndSwap(m, n); m = x.max.Load() {
	}
	time.Sleep(x.took)
	if string(key) == x.fails {
		return dst, version.Tag{}, &kv.Unavailable{Outcome: kv.None, Reason: "a test"}
	}
	return x.reads.Get(ctx, dst, key, o)
}

// Records that nobody confirms, as a member leaves them that dies while it imports, are read
// several at a time, and delivered in order.
func TestManyUnconfirmedRecordsAreReadAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, s *mesh, scans *Scans, x *reads) {
		for i := range 300 {
			s.put(fmt.Sprintf("key-%04d", i), written(openFrom+uint64(i), "open"), 0, 1, 2)
		}
		slow := &slowly{reads: x, took: 10 * time.Millisecond}
		scans.cfg.Reader = slow
		if m := all(t, scans, kv.ScanOptions{Values: true}); len(m) != 300 || len(x.read()) != 300 {
			t.Errorf("%d keys", len(m))
		}
		if n := slow.max.Load(); n < 2 || n > readsAtOnce {
			t.Errorf("%d reads at once", n)
		}
	})
}

// One read that fails ends the scan with its error.
func TestAReadThatFailsEndsTheScan(t *testing.T) {
	inBubble(t, func(t *testing.T, s *mesh, scans *Scans, x *reads) {
		for i := range 300 {
			s.put(fmt.Sprintf("key-%04d", i), written(openFrom+uint64(i), "open"), 0, 1, 2)
		}
		scans.cfg.Reader = &slowly{reads: x, took: time.Millisecond, fails: "key-0033"}
		sc, err := scans.Scan(context.Background(), kv.ScanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer sc.Close()
		var b kv.Batch
		for ok := true; ok && err == nil; {
			ok, err = sc.Next(context.Background(), &b)
		}
		var u *kv.Unavailable
		if !errors.As(err, &u) {
			t.Errorf("%v", err)
		}
	})
}

package kvtest

import (
	"errors"
	"strconv"
	"sync/atomic"
	"testing"

	"viakv/api/kv"
)

// refused reports whether err says that the store supports no snapshots.
func refused(err error) bool {
	e, ok := errors.AsType[*kv.ArgumentError](err)
	return ok && e.Parameter == "snapshot"
}

func snapshotQuiet(t testing.TB, open Open) {
	s := open(t)
	want := numbered(scanKeys)
	fill(t, s, want)
	found, err := tryCollect(t, s, kv.ScanOptions{Options: patient(), Values: true, Snapshot: true})
	if refused(err) {
		t.Logf("snapshots are refused: %v", err)
		return
	}
	if err != nil {
		t.Fatalf("snapshot of a store at rest: %v", err)
	}
	mustEqual(t, found, want, true)
}

// snapshotUnderWrites has one writer that raises two distant keys in turn. In every state the first
// is equal to the second or one above it. A scan that is no snapshot sees other combinations; one
// that claims to be a snapshot must not.
func snapshotUnderWrites(t testing.TB, open Open) {
	const rounds = 15
	s := open(t)
	fill(t, s, numbered(scanKeys/2))
	const first, second = "a first", "z second"
	mustSet(t, s, first, "0")
	mustSet(t, s, second, "0")
	var stop atomic.Bool
	var written atomic.Int64
	var g group
	defer g.wg.Wait() // before the store is closed, also on failure
	defer stop.Store(true)
	// The writer raises one key after the other.
	g.run(func() error {
		for i := 1; !stop.Load(); i++ {
			for _, k := range []string{first, second} {
				if _, err := s.Set(background, []byte(k), []byte(strconv.Itoa(i)), patient()); err != nil {
					return err
				}
			}
			written.Store(int64(i))
		}
		return nil
	})
	for range rounds {
		found, err := collectSlowly(t, s, kv.ScanOptions{Options: patient(), Values: true, Snapshot: true}, func() {
			from := written.Load()
			g.until(t, "writes beside the snapshot", func() bool { return written.Load() > from })
		})
		if refused(err) || errors.Is(err, kv.ErrSnapshotMoved) {
			continue
		}
		if err != nil {
			t.Fatalf("snapshot: %v", err)
		}
		// A snapshot that was delivered must show a state that existed.
		a, errA := strconv.Atoi(found[first])
		z, errZ := strconv.Atoi(found[second])
		if errA != nil || errZ != nil || a < z || a > z+1 {
			t.Fatalf("a snapshot shows a state that never was: first %q, second %q", found[first], found[second])
		}
	}
	stop.Store(true)
	g.wait(t)
}

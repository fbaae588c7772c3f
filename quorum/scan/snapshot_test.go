package scan

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
)

// drained reads a scan to its end, and calls meanwhile after the first batch.
func drained(sc kv.Scanner, meanwhile func()) (n int, err error) {
	var b kv.Batch
	for {
		ok, err := sc.Next(context.Background(), &b)
		if err != nil || !ok {
			return n, err
		}
		if n == 0 && meanwhile != nil {
			meanwhile()
		}
		n += len(b.Pairs)
	}
}

func TestSnapshot(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		s := newMesh(t, nodes)
		s.fill(1000)
		if n, err := drained(s.scan(0, kv.ScanOptions{Snapshot: true}), nil); err != nil || n != 1000 {
			t.Errorf("a store that rests: %d keys, %v", n, err)
		}
		if nodes > 1 { // a difference from before the scan is repaired, and is no change
			s.put("key-0005", written(7, "newer"), 1, 2)
			if n, err := drained(s.scan(0, kv.ScanOptions{Snapshot: true}), nil); err != nil || n != 1000 {
				t.Errorf("replicas that differ: %d keys, %v", n, err)
			}
		}
		sc := s.scan(0, kv.ScanOptions{Snapshot: true})
		b := next(t, sc)
		if _, err := s.nodes[0].Set(context.Background(), b.Pairs[0].Key, []byte("changed"), kv.Options{}); err != nil {
			t.Fatal(err)
		}
		if _, err := drained(sc, nil); !errors.Is(err, kv.ErrSnapshotMoved) {
			t.Errorf("a delivered key was set: %v, want ErrSnapshotMoved", err)
		}
		// In a scan from a cursor on, only what follows the cursor counts.
		sc = s.scan(0, kv.ScanOptions{})
		b = next(t, sc)
		first := string(b.Pairs[0].Key)
		o := kv.ScanOptions{Cursor: sc.Cursor(len(b.Pairs)), Snapshot: true}
		rest, err := drained(s.scan(0, o), func() {
			_, _ = s.nodes[0].Set(context.Background(), []byte(first), []byte("changed again"), kv.Options{})
		})
		if err != nil || rest != 1000-len(b.Pairs) {
			t.Errorf("resumed: %d keys, %v", rest, err)
		}
	}
}

// A replica that has yet to get a write from before the scan may be asked only at the end. That is
// no change either.
func TestSnapshotBesideAReplicaThatLags(t *testing.T) {
	for turn := range uint32(3) { // the member that the scan asks first
		s := newMesh(t, 3)
		s.fill(300)
		// The key is of the first round. By the end, other replicas are asked.
		key := drain(t, s.scan(0, kv.ScanOptions{}))[0].key
		s.put(key, written(7, "acknowledged"), 0, 1)
		scans := s.scans(0)
		scans.turn.Store(turn)
		sc, err := scans.Scan(context.Background(), kv.ScanOptions{Values: true, Snapshot: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := drain(t, sc); got[0] != (pair{key, "acknowledged"}) || len(got) != 300 {
			t.Errorf("%d pairs, first %q", len(got), got[0])
		}
		sc.Close()
	}
}

// Replicas that stay different end a snapshot scan when a request's time is up. One case is in the
// middle, where one key is written again and again. The other is at the end, where the only replica
// left has yet to get a write.
func TestSnapshotOfReplicasThatStayApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, apart := range map[string]func(s *mesh, first string) (meanwhile func()){
			"in the middle": func(s *mesh, first string) func() {
				var counter atomic.Uint64
				s.before = func(op string, m int) {
					if op == "digests" {
						s.put(first, written(7+counter.Add(1), "newer"), m)
					}
				}
				return nil
			},
			"at the end": func(s *mesh, first string) func() {
				s.put(first, written(7, "acknowledged"), 0, 1)
				s.nodes[0].owes[2].Store(true) // the replica that lags is asked last
				return func() {
					s.mu.Lock()
					s.dead[1] = true
					s.mu.Unlock()
				}
			},
		} {
			s := newMesh(t, 3)
			s.fill(300)
			meanwhile := apart(s, drain(t, s.scan(0, kv.ScanOptions{}))[0].key)
			began := time.Now()
			_, err := drained(s.scan(0, kv.ScanOptions{Values: true, Snapshot: true}), meanwhile)
			if !errors.Is(err, kv.ErrSnapshotMoved) || !strings.Contains(err.Error(), "replicas differ") {
				t.Errorf("%s: %v, want ErrSnapshotMoved and the reason", name, err)
			}
			if took, timeout := time.Since(began), s.nodes[0].timeout; took < timeout {
				t.Errorf("%s: given up after %v, before the %v that a request may take", name, took, timeout)
			}
		}
	})
}

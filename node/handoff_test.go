package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

func TestARestartedNodeIsRebuilt(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 300 {
			m.set(i%3, key(i), "v")
		}
		m.remove(1, key(0))
		for _, i := range []int{2, 0, 1} { // one after another, while the other two hold everything
			m.kill(i)
			m.set((i+1)%3, key(5), fmt.Sprint("while away ", i))
			m.start(i, m.seeds(3))
			m.until(30*time.Second, "it is ready again", m.ready(i))
			stats := m.nodes[i].present.Load().driver.Stats
			// The rebuild is counted a moment after the node serves.
			m.until(time.Second, "its rebuild is counted", func() bool { return stats().Rebuilds == 1 })
			if s := stats(); s.Received < 300 {
				t.Errorf("%+v", s)
			}
		}
		m.until(15*time.Second, "all are equal", m.equal(0, 1, 2))
		for i := range 3 {
			m.missing(i, key(0))
			m.wants(i, key(5), "while away 1")
			m.wants(i, key(299), "v")
		}
	})
}

func TestACutOffNodeCatchesUpByHints(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 100 {
			m.set(i%3, key(i), "old")
		}
		m.isolate(2, true)
		for i := range 50 {
			m.set(i%2, key(i), "new")
		}
		for i := 50; i < 60; i++ {
			m.remove(i%2, key(i))
		}
		time.Sleep(5 * time.Second) // writes that wait for the third node time out and become hints
		hints := 0
		for _, member := range append(m.nodes[0].Status().Members, m.nodes[1].Status().Members...) {
			hints += member.Hints
		}
		if hints < 60 {
			t.Errorf("%d hints for 60 missed keys", hints)
		}
		m.isolate(2, false)
		m.until(10*time.Second, "all are equal", m.equal(0, 1, 2))
		// The third node also catches up with others before it answers alone. So all may be equal
		// before the hints are sent, or before their senders know that they have arrived.
		m.until(10*time.Second, "records were replayed", func() bool {
			return m.nodes[0].present.Load().driver.Stats().Replayed+m.nodes[1].present.Load().driver.Stats().Replayed > 0
		})
		m.wants(2, key(0), "new")
		m.missing(2, key(55))
	})
}

// Removed keys stay removed through hints, a purge and a rebuild. Their tombstones do not stay.
func TestTombstonesAreCollected(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 60 {
			m.set(i%3, key(i), "v")
		}
		m.isolate(2, true)
		for i := range 30 {
			m.remove(i%2, key(i)) // the third node still holds the values
		}
		time.Sleep(20 * time.Second)
		if s := m.nodes[0].Status(); s.Purge != 0 || s.Tombstones != 30 {
			t.Errorf("purge %d, %d tombstones while one member cannot be asked", s.Purge, s.Tombstones)
		}
		m.isolate(2, false)
		m.until(40*time.Second, "the tombstones are gone everywhere", m.collected)
		if s := m.nodes[2].Status(); s.Purge == 0 || s.Keys != 30 {
			t.Errorf("purge %d, %d keys", s.Purge, s.Keys)
		}
		m.restarts(1)
		for i := range 30 {
			m.missing(i%3, key(i))
		}
		m.until(15*time.Second, "all are equal", m.equal(0, 1, 2))
	})
}

func TestAJoiningNodeCopiesEverything(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 200 {
			m.set(i%3, key(i), "v")
		}
		m.alone(3)
		m.set(3, "its own", "comes along")
		m.joins(3, 1)
		m.until(15*time.Second, "all are equal", m.equal(0, 1, 2, 3))
		for i := range 4 {
			m.wants(i, key(77), "v")
			m.wants(i, "its own", "comes along")
		}
		if s := m.nodes[0].Status(); s.N != 4 || s.Unsettled != nil {
			t.Errorf("N %d, unsettled %+v", s.N, s.Unsettled)
		}
	})
}

// An epoch may end while a list of tombstones to hold is on its way. The list is not malformed
// then: its proposer is told the next epoch.
func TestAListThatAnEpochOvertakes(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		s := m.state(1)
		list := []replica.Tombstone{{Key: []byte("k"), Tag: version.Tag{Counter: 1, Incarnation: 1, Removed: true}}}
		s.Store.Advance(s.View.Epoch+1, s.View.Generation) // each epoch begins with this step
		body := m.nodes[1].server.Serve(context.Background(), nil, wire.AppendList(request(wire.Purge, m.state(0), s), 9, list))
		if r, err := wire.ParseReply(body); err != nil || r.Status != wire.Stale {
			t.Errorf("%v, %v", r.Status, err)
		}
	})
}

func TestAJoiningNodeListsItself(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 200 {
			m.set(i%3, key(i), "v")
		}
		m.start(3, m.seeds(3))
		var listed *kv.Member
		m.until(10*time.Second, "the fourth lists itself as joining", func() bool {
			for _, row := range m.nodes[3].Status().Members {
				if row.State == "joining" {
					listed = &row
				}
			}
			return listed != nil
		})
		if listed.Name != m.name(3) || listed.Reach != health.Answers || listed.Sync == nil || listed.Incarnation == 0 {
			t.Errorf("%+v", listed)
		}
	})
}

func TestScansOverMembers(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		const keys = 500
		for i := range keys {
			m.set(i%3, key(i), fmt.Sprint("v", i))
		}
		m.isolate(2, true)
		m.set(0, key(7), "the third missed this")
		m.remove(1, key(8))
		m.isolate(2, false)

		// read returns up to limit keys of a scan at one node, and the cursor behind them.
		read := func(at int, o kv.ScanOptions, limit int) (got map[string]string, cursor string, err error) {
			sc, err := m.nodes[at].Scan(context.Background(), o)
			if err != nil {
				return nil, "", err
			}
			defer sc.Close()
			got = map[string]string{}
			var b kv.Batch
			for limit > 0 {
				ok, err := sc.Next(context.Background(), &b)
				if err != nil || !ok {
					return got, "", err
				}
				n := min(limit, len(b.Pairs))
				for _, p := range b.Pairs[:n] {
					if _, twice := got[string(p.Key)]; twice {
						t.Errorf("%s came twice", p.Key)
					}
					got[string(p.Key)] = string(p.Value)
				}
				limit -= n
				cursor = sc.Cursor(n)
			}
			return got, cursor, nil
		}
		for at := range 3 {
			// A scan at any node shows the writes that the third node missed.
			got, _, err := read(at, kv.ScanOptions{Values: true}, 10*keys)
			if err != nil || len(got) != keys-1 || got[key(7)] != "the third missed this" || got[key(9)] != "v9" {
				t.Errorf("at %d: %v, %d keys, %q", at, err, len(got), got[key(7)])
			}
		}
		if got, _, err := read(1, kv.ScanOptions{Snapshot: true}, 10*keys); err != nil || len(got) != keys-1 {
			t.Errorf("snapshot: %v, %d keys", err, len(got))
		}
		// A cursor works at other nodes when the node that gave it is dead (C4), and a scan works
		// without a dead member.
		all := 0
		first, cursor, err := read(2, kv.ScanOptions{Values: true}, 100)
		if err != nil {
			t.Fatal(err)
		}
		all += len(first)
		m.kill(2)
		for at := 0; cursor != ""; at = 1 - at {
			var page map[string]string
			if page, cursor, err = read(at, kv.ScanOptions{Values: true, Cursor: cursor}, 100); err != nil {
				t.Fatal(err)
			}
			all += len(page)
		}
		if all != keys-1 {
			t.Errorf("%d keys on all pages, want %d", all, keys-1)
		}
		if _, _, err := read(0, kv.ScanOptions{Cursor: "AAAA"}, 1); !errors.Is(err, kv.ErrBadCursor) {
			t.Errorf("a forged cursor: %v", err)
		}
	})
}

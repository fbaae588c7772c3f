package quorum

import (
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// L7: a read that finds replicas to differ answers at once when one of those that hold the highest
// record knows it to be complete: a peer, or this node itself. The others that were asked get the
// record in the background.
func TestAReadOfAConfirmedRecordWaitsForNobody(t *testing.T) {
	for _, holder := range []int{0, 1} {
		inMesh(t, 5, func(t *testing.T, m *mesh) {
			held := version.Record{Tag: version.Tag{Counter: 7, Incarnation: 9}, Value: []byte("v")}
			m.Stores[holder].Hold("k", held)
			m.nodes[holder].Current().Marks.Learn(9, 8)
			nd := m.nodes[0]
			back := nd.lose(Store)
			began := time.Now()
			nd.wantValue("k", "v")
			if took := time.Since(began); took != 0 {
				t.Errorf("at %d: it took %v", holder, took)
			}
			back()
			m.Stores[0].Hold("k", version.Record{})
			m.Stores[1].Hold("k", held)
			m.nodes[1].Current().Marks.Learn(9, 8)
			nd.wantValue("k", "v")
			synctest.Wait()
			if n := m.holders("k", held.Tag); n != 3 {
				t.Errorf("at %d: %d replicas hold the record, want the three that were asked", holder, n)
			}
		})
	}
}

// A record that no holder knows to be complete is stored at W replicas first, and is known to be
// complete at the reader from then on.
func TestAReadOfAnotherRecordRepairsFirst(t *testing.T) {
	inMesh(t, 5, func(t *testing.T, m *mesh) {
		held := version.Record{Tag: version.Tag{Counter: 7, Incarnation: 9}, Value: []byte("v")}
		m.Stores[1].Hold("k", held)
		nd := m.nodes[0]
		back := nd.lose(Store)
		_, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{})
		wantOutcome(t, err, kv.None)
		back()
		nd.wantValue("k", "v")
		if n := m.holders("k", held.Tag); n < 3 || !nd.Current().Confirmed(&held) {
			t.Errorf("%d replicas hold the record, and the reader knows that it is complete: %v", n, nd.Current().Confirmed(&held))
		}
	})
}

// L7: only a replica that holds the highest record can tell that it is complete. That others know
// of their own records tells nothing.
func TestOnlyAHolderConfirms(t *testing.T) {
	inMesh(t, 5, func(t *testing.T, m *mesh) {
		old := version.Record{Tag: version.Tag{Counter: 7, Incarnation: 9}, Value: []byte("old")}
		for i, s := range m.Stores {
			s.Hold("k", old)
			m.nodes[i].Current().Marks.Learn(9, 8)
		}
		m.Stores[2].Hold("k", version.Record{Tag: version.Tag{Counter: 8, Incarnation: 8}, Value: []byte("new")})
		nd := m.nodes[0]
		nd.lose(Store)
		_, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{})
		wantOutcome(t, err, kv.None)
	})
}

package node

import (
	"testing"
	"time"
)

func TestStatsCountWhatANodeDoes(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		removed := 2 // becomes the first key that node 0 owns: node 0 then coordinates the remove
		for at := m.state(0); at.View.Ring.Owner(at.View.Seed.Hash([]byte(key(removed))).Partition()) != 0; {
			removed++
		}
		m.set(0, key(1), "a")
		m.set(0, key(removed), "b")
		m.wants(0, key(1), "a")
		m.remove(0, key(removed))
		s := m.nodes[0].Stats()
		if c := s.Coordinator; c.Writes != 2 || c.Reads != 1 || c.Removes != 1 || c.Unavailable+c.Unknown != 0 {
			t.Errorf("%+v: want two writes, a read and a remove", c)
		}
		if s.Storage.Keys != 1 || s.Storage.Tombstones != 1 || s.Storage.DataBytes == 0 {
			t.Errorf("%+v: want a key and a tombstone", s.Storage)
		}
		if len(s.Links) != 2 || s.Links[0].Member != m.name(1) || s.Links[1].Member != m.name(2) {
			t.Fatalf("%+v: want the two others", s.Links)
		}

		m.kill(2)
		m.set(0, key(0), "c")
		m.until(30*time.Second, "the key is noted for the member that missed it", func() bool {
			s := m.nodes[0].Stats()
			return s.Handoff.Hinted > 0 && !s.Links[1].Connected && s.Links[0].Connected
		})
	})
}

func TestStatsOfANodeThatBelongsToNoCluster(t *testing.T) {
	inMesh(t, 1, func(m *mesh) {
		m.start(1, m.seeds(3)) // the third node never starts
		if s := m.nodes[1].Stats(); s.Storage.Keys != 0 || s.Links != nil {
			t.Errorf("%+v, want nothing", s)
		}
	})
}

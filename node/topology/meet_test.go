package topology

import (
	"testing"

	"viakv/api/kv"
)

// D7: while a change of size is not settled, the quorums of the two sizes meet. The replicas that a
// read or a write of one size asks include one that acknowledged each write of the other size. A
// read asks max(R, W) replicas (D4), and the query phase of a write at least R and N-W+1.
func TestQuorumsOfTwoSizesMeet(t *testing.T) {
	configured := []kv.Quorum{kv.QuorumDefault, kv.QuorumAll, 1, 2, 3, 4}
	checked, raised := 0, 0
	for _, rq := range configured {
		for _, wq := range configured {
			for n := 1; n <= 6; n++ {
				for _, change := range []*SizeChange{{Joined: "x"}, {Left: "x"}} {
					before := n - 1
					if change.Left != "" {
						before = n + 1
					}
					if before == 0 {
						continue
					}
					settled := Topology{ReadQuorum: rq, WriteQuorum: wq, Slots: make([]Slot, n)}
					unsettled, old := settled, settled
					unsettled.Change = change
					old.Slots = make([]Slot, before)
					if weak(&settled) || weak(&old) {
						if unsettled.R() != settled.R() || unsettled.W() != settled.W() {
							t.Errorf("R %v, W %v, %d to %d: weak quorums were asked for by name, and raised", rq, wq, before, n)
						}
						continue
					}
					if change.Left != "" && old.W() == 1 {
						continue // such a leave is refused: the leaver may hold the only copy of a write
					}
					checked++
					r, w := unsettled.R(), unsettled.W()
					if r > settled.R() || w > settled.W() {
						raised++
					}
					larger := max(n, before)
					switch {
					case r > n || w > n || r < settled.R() || w < settled.W():
						t.Errorf("R %v, W %v, %d to %d: %d and %d", rq, wq, before, n, r, w)
					case max(r, w)+old.W() <= larger:
						t.Errorf("R %v, W %v, %d to %d: a read asks %d and may miss what %d acknowledged before", rq, wq, before, n, max(r, w), old.W())
					case max(old.R(), old.W())+w <= larger:
						t.Errorf("R %v, W %v, %d to %d: a late read of the size before asks %d and may miss what %d acknowledge",
							rq, wq, before, n, max(old.R(), old.W()), w)
					}
				}
			}
		}
	}
	if checked < 50 || raised < 5 {
		t.Errorf("%d configurations checked, %d of them with raised quorums", checked, raised)
	}
}

// Majorities are never raised: they meet at any size.
func TestMajoritiesAreNotRaised(t *testing.T) {
	for n := 1; n <= 9; n++ {
		for _, change := range []*SizeChange{nil, {Joined: "x"}, {Left: "x"}} {
			u := Topology{Slots: make([]Slot, n), Change: change}
			if n == 1 && change != nil && change.Joined != "" {
				continue
			}
			if u.R() != n/2+1 || u.W() != n/2+1 {
				t.Errorf("%d members, change %+v: R %d, W %d", n, change, u.R(), u.W())
			}
		}
	}
}

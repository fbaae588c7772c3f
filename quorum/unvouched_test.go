package quorum

import (
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
)

// L14: when the epoch ends, all is judged anew. c does not vouch for a's set, and b is silent. But
// the members go on to the next epoch, at which b answers and vouches.
func TestASetWithoutVouchersGoesOnAtTheNextEpoch(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		nd := m.nodes[0]
		m.Lease(0, 1)
		m.Stores[2].Merge("k", version.Record{Tag: version.Tag{Counter: 99, Incarnation: 3}, Value: []byte("newer")})
		lost := false
		nd.filter = func(c *Call) bool {
			if c.Kind != Store || c.Member != 1 || lost {
				return false
			}
			lost = true
			nd.swallow(c)
			time.AfterFunc(10*time.Millisecond, func() { m.Advance(nil, 0, 1, 2) })
			return true
		}
		began := time.Now()
		if _, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{}); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*replicatest.Term {
			t.Errorf("it took %v", took)
		}
		time.Sleep(2 * time.Minute) // the calls end
	})
}

// L14: a writes without asking. c has stored the record and does not vouch for it, since it holds
// something newer and a has no lease of it. b, who would vouch, is silent. The outcome is unknown
// after about the term of a lease, and not only at the deadline: all callers of a would wait for so
// long.
func TestASilentVoucherIsNotWaitedForToTheDeadline(t *testing.T) {
	for name, back := range map[string]time.Duration{"for good": time.Minute, "for a moment": replicatest.Term / 4} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			nd := m.nodes[0]
			m.Lease(0, 1)
			m.Stores[2].Merge("k", version.Record{Tag: version.Tag{Counter: 99, Incarnation: 3}, Value: []byte("newer")})
			nd.filter = func(c *Call) bool {
				if c.Kind != Store || c.Member != 1 {
					return false
				}
				time.AfterFunc(back, func() {
					c.Status = OK
					c.End()
				})
				return true
			}
			began := time.Now()
			_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
			took := time.Since(began)
			if back < replicatest.Term {
				if err != nil || took != back {
					t.Errorf("%s: after %v: %v", name, took, err)
				}
			} else {
				wantOutcome(t, err, kv.Unknown)
				if took > 2*replicatest.Term {
					t.Errorf("%s: it took %v", name, took)
				}
			}
			time.Sleep(2 * time.Minute) // the calls end
		})
	}
}

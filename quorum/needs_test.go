package quorum

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
)

// What health tells operators is what requests do: a get and a set succeed exactly when as many
// members answer as health.Needs says. This tries each size, each pair of quorums, weak ones
// included, and each number of members that answer.
func TestNeedsAreWhatRequestsNeed(t *testing.T) {
	for n := 1; n <= 7; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			inMesh(t, n, func(t *testing.T, m *mesh) {
				answer := 0
				node := m.nodes[0]
				node.filter = func(c *Call) bool { return c.Member >= answer && unsent(c) }
				for r := 1; r <= n; r++ {
					for w := 1; w <= n; w++ {
						m.Advance(func(v *replica.View) { v.R, v.W, v.Leases = r, w, false }, members(n)...)
						answer = n
						node.mustSet("k", "before")
						synctest.Wait() // all members hold it
						read, write := health.Needs(n, r, w, false)
						for answer = n; answer >= 1; answer-- {
							if _, _, err := node.Get(bg, nil, []byte("k"), kv.Options{}); (err == nil) != (answer >= read) {
								t.Errorf("R=%d, W=%d, %d answer, and %d are said to be needed: get: %v", r, w, answer, read, err)
							}
							if _, err := node.Set(bg, []byte("l"), []byte("v"), kv.Options{}); (err == nil) != (answer >= write) {
								t.Errorf("R=%d, W=%d, %d answer, and %d are said to be needed: set: %v", r, w, answer, write, err)
							} else if err != nil {
								wantOutcome(t, err, kv.None)
							}
							synctest.Wait()
						}
					}
				}
			})
		})
	}
}

// With leases, a get is answered exactly when as many members answer as health.Needs says, of a key
// that is known to be complete. So it is with the first get after a pause, which finds no leases.
func TestNeedsByLeaseAreWhatGetsNeed(t *testing.T) {
	for n := 1; n <= 5; n++ {
		inMesh(t, n, func(t *testing.T, m *mesh) {
			answer := n
			node := m.nodes[0]
			node.filter = func(c *Call) bool { return c.Member >= answer && unsent(c) }
			for r := 1; r <= n; r++ {
				for w := n - r + 1; w <= n; w++ {
					m.Advance(func(v *replica.View) { v.R, v.W = r, w }, members(n)...)
					node.mustSet("k", "v")
					synctest.Wait()
					m.tellMarks()
					read, _ := health.Needs(n, r, w, true)
					for answer = n; answer >= 1; answer-- {
						for i := range n {
							node.down[i].Store(i >= answer)
						}
						time.Sleep(2 * replicatest.Term) // no lease is left
						if n > 1 && m.view(0).Alone() {
							t.Fatal("alone before the get")
						}
						give := time.AfterFunc(replicatest.Term/2, func() { m.Lease(0, members(answer)[1:]...) })
						_, _, err := node.Get(bg, nil, []byte("k"), kv.Options{})
						_, has := node.Has(bg, []byte("k"), kv.Options{})
						if (err == nil) != (answer >= read) || (has == nil) != (answer >= read) {
							t.Errorf("N=%d, R=%d, W=%d, %d answer, and %d are said to be needed: get: %v, is: %v", n, r, w, answer, read, err, has)
						}
						give.Stop()
						synctest.Wait()
					}
					answer = n
					for i := range n {
						node.down[i].Store(false)
					}
				}
			}
		})
	}
}

// A read that cannot do without leases waits for them for a while, and no longer than its time.
func TestAReadDoesNotWaitForLeasesForLong(t *testing.T) {
	for name, c := range map[string]struct {
		down        []int
		o           kv.Options
		least, most time.Duration
	}{
		"they may come":            {down: []int{2}, least: leasesTake * replicatest.Term, most: leasesTake*replicatest.Term + 2*sessionPoll},
		"its time is over":         {down: []int{2}, o: kv.Options{Deadline: time.Unix(1, 0)}, most: 2 * sessionPoll},
		"too few can give them":    {down: []int{1, 2}},
		"it does without":          {},
		"it asks for all, by an r": {down: []int{2}, o: kv.Options{R: kv.QuorumAll}},
		"it asks for one, by an r": {down: []int{2}, o: kv.Options{R: 1}},
	} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			m.Advance(func(v *replica.View) { v.R, v.W = 1, 3 }, 0, 1, 2)
			nd := m.nodes[0]
			for _, i := range c.down {
				nd.down[i].Store(true)
			}
			nd.filter = func(c *Call) bool { return nd.down[c.Member].Load() && unsent(c) }
			began := time.Now()
			_, _, _ = nd.Get(bg, nil, []byte("k"), c.o)
			if took := time.Since(began); took < c.least || took > c.most {
				t.Errorf("%s: took %v, want %v to %v", name, took, c.least, c.most)
			}
		})
	}
}

// members returns the indices of n members.
func members(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

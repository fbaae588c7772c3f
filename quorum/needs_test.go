package quorum

import (
	"fmt"
	"testing"
	"testing/synctest"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/quorum/replica"
)

// What health tells operators is what requests do: a get and a set succeed exactly when as many
// members answer as health.Needs says. This tries each size, each pair of quorums, weak ones
// included, and each number of members that answer. (With leases, some gets need fewer answers.)
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
						read, write := health.Needs(n, r, w)
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

// members returns the indices of n members.
func members(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

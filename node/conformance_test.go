package node

import (
	"testing"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
)

// The mesh fulfils the same contract as the databases. The test asks three nodes over real TCP in
// turn. Their leases last ten times as long as by default: on a busy machine, a set whose key is
// written at two nodes may end unknown when a lease runs out meanwhile (L14).
func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store {
		r := &tcpMesh{t: t}
		r.found(3, func(_ int, c *Config) { c.Lease = 10 * kv.DefaultLease })
		var nodes []kv.Store
		for _, n := range r.nodes {
			nodes = append(nodes, n)
		}
		return kvtest.Balanced(nodes...)
	})
}

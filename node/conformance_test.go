package node

import (
	"testing"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
)

// The mesh fulfils the same contract as the databases. The test asks three nodes over real TCP in
// turn.
func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store {
		var nodes []kv.Store
		for _, n := range newTCPMesh(t, 3).nodes {
			nodes = append(nodes, n)
		}
		return kvtest.Balanced(nodes...)
	})
}

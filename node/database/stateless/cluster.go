package stateless

import (
	"context"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// Cluster is the control side of a node on a database. The nodes know nothing of each other, so
// there is nothing to join.
type Cluster struct {
	Mode  string // the database's name, as Status.Mode
	Self  string // the node's name
	Probe *Probe
	// Generation returns the number of clears as last seen. It must not block.
	Generation func() version.Generation
}

// Join implements kv.Cluster. It refuses, and gives the reason.
func (c *Cluster) Join(context.Context, string) error {
	return kv.Detail(kv.ErrNotMesh, "it is stateless, and every node on the same database (%s) serves the same data", c.Mode)
}

// Leave implements kv.Cluster. It refuses, and gives the reason.
func (c *Cluster) Leave(context.Context, string, bool) (kv.Left, error) {
	return kv.Left{}, kv.Detail(kv.ErrNotMesh, "it is stateless: a node that stops loses nothing, %s keeps the data", c.Mode)
}

// Status implements kv.Cluster. Keys and Bytes stay zero, because counting keys would cost the
// database a walk over all of them.
func (c *Cluster) Status() kv.Status {
	s := kv.Status{Mode: c.Mode, Self: c.Self, State: "active", Generation: c.Generation(), Members: []kv.Member{}, Reason: c.Probe.Last()}
	if s.Reason != nil {
		s.State = "unavailable"
	}
	return s
}

package stateless

import (
	"context"
	"sync/atomic"
	"time"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/quorum/version"
)

// Cluster is the control side of a node on a database; a store embeds it. The nodes know nothing of
// each other, so there is nothing to join.
type Cluster struct {
	*Probe
	Mode       string // the database's name, as Status.Mode
	Self       string // the node's name
	Generation Highest
	health     health.Observer
}

// Highest is the highest generation seen. It is for the status only: requests never rely on it.
type Highest struct{ n atomic.Int64 }

// Note notes a generation that was seen.
func (h *Highest) Note(g int64) {
	for old := h.n.Load(); old < g && !h.n.CompareAndSwap(old, g); old = h.n.Load() {
	}
}

// Join implements kv.Cluster. It refuses, and gives the reason.
func (c *Cluster) Join(context.Context, string) error {
	return kv.Detail(kv.ErrNotMesh, "it is stateless, and every node on the same database (%s) serves the same data", c.Mode)
}

// Leave implements kv.Cluster. It refuses, and gives the reason.
func (c *Cluster) Leave(context.Context, string, bool) (kv.Left, error) {
	return kv.Left{}, kv.Detail(kv.ErrNotMesh, "it is stateless: a node that stops loses nothing, %s keeps the data", c.Mode)
}

// SetReads implements kv.Cluster. It refuses, and gives the reason.
func (c *Cluster) SetReads(context.Context, kv.Reads) (version.Epoch, error) {
	return 0, kv.Detail(kv.ErrNotMesh, "it is stateless: %s answers the reads, and there is no lease and no quorum", c.Mode)
}

// Status implements kv.Cluster. Keys and Bytes stay zero, because counting keys would cost the
// database a walk over all of them.
func (c *Cluster) Status() kv.Status {
	generation := version.Generation(c.Generation.n.Load())
	s := kv.Status{Mode: c.Mode, Self: c.Self, State: "active", Generation: generation, Members: []kv.Member{}, Reason: c.latest()}
	if s.Reason != nil {
		s.State = "unavailable"
	}
	_, s.Health = c.health.Observe(time.Now(), func() health.Facts {
		facts := health.Facts{Self: c.Self, Store: c.Mode}
		if s.Reason != nil {
			facts.Outside = s.Reason.Error()
		}
		return facts
	}, nil)
	return s
}

// Events implements kv.Cluster. An event is noted when the status is asked for.
func (c *Cluster) Events() *health.Log { return &c.health.Events }

// Pool is the state of a store's connections, for the metrics page.
type Pool struct {
	InUse int64 // serving a request now
	Idle  int64 // open and free, or being opened
	// Limit is the largest number of connections allowed. On PostgreSQL and CockroachDB that is for
	// this node, on MongoDB for this node to each server.
	Limit   int64
	Waiting int64 // requests that wait for a connection now

	Opened uint64        // connections since the start
	Failed uint64        // requests that got no connection
	Waited time.Duration // time that all requests together took to get a connection, or to give up
}

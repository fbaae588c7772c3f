package kv

import "time"

// Figures are what a node has counted of its clients' requests since its process started. A read is
// a get or a test for a key, a write is a set or a remove. A request that is the client's own
// mistake counts as neither answered nor refused.
type Figures struct {
	// Process names the process. It is drawn at random when the process starts. Counts of different
	// processes must not be subtracted from each other. Zero: there are no figures.
	Process uint64
	At      time.Time // when this node received them, or took its own

	// A request was answered when the client has learned what it asked for, be it that there is no
	// such key. It was refused when the node could not, or would not, carry it out.
	ReadsAnswered, ReadsRefused, WritesAnswered, WritesRefused uint64

	// Took has the answered requests by how long they took: element i has those that took no longer
	// than LatencyBounds[i], and longer than the bound before. The last element has the rest.
	Took [len(LatencyBounds) + 1]uint64
}

// LatencyBounds are the upper bounds of the classes of durations, in seconds. They reach from a
// local read to a stream of everything.
var LatencyBounds = [...]float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 10, 60}

package stateless

import "time"

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

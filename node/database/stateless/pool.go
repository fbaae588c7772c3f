package stateless

import "time"

// Pool is the state of a store's connections, for the metrics page.
type Pool struct {
	InUse   int64 // serving a request now
	Idle    int64 // open and free, or being opened
	Limit   int64 // the most that there may be: of this node, or on MongoDB of this node and each server
	Waiting int64 // requests that want a connection now and have none

	Opened uint64        // connections since the start
	Failed uint64        // requests that got no connection
	Waited time.Duration // time that all requests together took to get one, or to give up
}

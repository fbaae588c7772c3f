package kv

import (
	"context"

	"viakv/quorum/version"
)

// Inspector shows people what the API does not: where keys belong and what each member holds. A
// store on a database has nothing to show here.
type Inspector interface {
	// Placement returns which member owns each partition. It never blocks.
	Placement() Placement
	// Holdings asks every member what it holds in all. It blocks until each has answered or ctx
	// ends.
	Holdings(ctx context.Context) []Holding
	// Copies asks every member for its copy of a key. It blocks until each has answered or ctx
	// ends. It repairs nothing.
	Copies(ctx context.Context, key []byte) KeyCopies
}

// Placement is the ring at an epoch.
type Placement struct {
	Epoch   version.Epoch
	Members []string // ascending
	Owners  []int    // the owner of each partition, as an index into Members
}

// Holding is what one member holds.
type Holding struct {
	Member     string
	Err        error // why the holding is not known; the rest is then zero
	Keys       uint64
	Tombstones uint64
	Digest     string // equal on members with the same records
}

// KeyCopies is a key with what each member holds of it, in the order of the key's preference list.
type KeyCopies struct {
	Key       string
	Partition int
	Epoch     version.Epoch
	Copies    []Copy
}

// Copy is one member's record of a key.
type Copy struct {
	Member string
	Err    error          // why the copy is not known
	Record version.Record // zero: the member has never heard of the key
}

package kv

import "context"

// Inspector looks behind the API, for people: where keys belong and what each member holds. A store on a database has nothing to show here.
type Inspector interface {
	// Placement returns which member owns each partition. It never blocks.
	Placement() Placement
	// Holdings asks every member what it holds in all, and blocks until each has answered or ctx ends.
	Holdings(ctx context.Context) []Holding
	// Copies asks every member for its copy of a key, and blocks until each has answered or ctx ends. It repairs nothing.
	Copies(ctx context.Context, key []byte) KeyCopies
}

// Placement is the ring at an epoch.
type Placement struct {
	Epoch   uint64   `json:"epoch"`
	Members []string `json:"members"` // ascending
	Owners  []int    `json:"owners"`  // of each partition: an index into Members
}

// Holding is what one member holds.
type Holding struct {
	Member     string `json:"member"`
	Error      string `json:"error,omitempty"` // why it is not known; the rest is then zero
	Keys       uint64 `json:"keys"`
	Tombstones uint64 `json:"tombstones"`
	Digest     string `json:"digest"` // equal where all records are
}

// KeyCopies is a key with what each member holds of it, in the order in which the key prefers them.
type KeyCopies struct {
	Key       string `json:"key"`
	Partition int    `json:"partition"`
	Epoch     uint64 `json:"epoch"`
	Copies    []Copy `json:"copies"`
}

// Copy is one member's record of a key.
type Copy struct {
	Member  string        `json:"member"`
	Error   string        `json:"error,omitempty"` // why it is not known
	Tag     string        `json:"tag,omitempty"`   // empty: the member has never heard of the key
	Version *CopyVersion  `json:"version,omitempty"`
	Vector  []VectorEntry `json:"vector,omitempty"`
	Value   *string       `json:"value,omitempty"` // nil in a tombstone
}

// CopyVersion is a tag in its parts.
type CopyVersion struct {
	Generation  uint64 `json:"generation"`
	Counter     uint64 `json:"counter"`
	Incarnation uint64 `json:"incarnation"`
	Removed     bool   `json:"removed"`
}

// VectorEntry says that a write had seen all writes of an incarnation up to a counter.
type VectorEntry struct {
	Incarnation uint64 `json:"incarnation"`
	Counter     uint64 `json:"counter"`
}

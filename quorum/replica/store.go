package replica

import (
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Store is one copy of all keys. Every operation that names an epoch fails with ErrEpoch, having
// changed nothing, unless the copy is at that epoch (D1, H1); what it was to fill may hold a part
// then. Put and Vote also fail, likewise, for a record of another generation or beyond the bounds
// of keys, values and vectors. Methods do not block on I/O and are safe for concurrent use.
type Store interface {
	// Get appends what it returns to dst; the record borrows it. An absent key has the zero tag.
	Get(e version.Epoch, h keyspace.Hash, key, dst []byte) (version.Record, []byte, error)
	// Tag is Get without the value.
	Tag(e version.Epoch, h keyspace.Hash, key, dst []byte) (version.Record, []byte, error)
	// Put merges the record into what is there.
	Put(e version.Epoch, h keyspace.Hash, key []byte, r *version.Record) (changed bool, err error)
	// Vote stores the tombstone and votes for its owner, unless something newer or another owner's
	// tombstone is there.
	Vote(e version.Epoch, h keyspace.Hash, key []byte, tombstone *version.Record) (voted bool, err error)
	// Full reports whether the copy may hold no more, so that new values must be refused.
	Full() bool

	// Digest sums up a range.
	Digest(e version.Epoch, r keyspace.Range) (Digest, error)
	// Page fills p with the range's first records behind a key at its first rank, nil: all of them.
	// About max bytes, and at least one record where there is one.
	Page(e version.Epoch, r keyspace.Range, after []byte, max int, p *Page) error
	// Tombstones appends tombstones from a place on until dst has max of them or about
	// MaxListBytes, and says where to go on; the zero place: at the end. The keys are the caller's.
	Tombstones(e version.Epoch, from keyspace.Place, max int, dst []Tombstone) (list []Tombstone, next keyspace.Place, err error)
	// Check recomputes the digest of the bucket that holds a rank from its records, and returns the
	// bucket's range; drift is not nil when the digest kept by the writes was another.
	Check(at keyspace.Rank) (bucket keyspace.Range, drift error)
}

// MaxListBytes bounds the keys and tags of one purge's list, so that it fits a frame. A list may be
// longer by one tombstone.
const MaxListBytes = 2 << 20

package replica

import (
	"errors"

	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Store is one copy of all keys. Every operation that names an epoch fails with ErrEpoch unless the
// copy is at that epoch (D1, H1). It has then changed nothing in the copy, but the caller's buffer
// or page may have been filled in part. Put and Vote also fail, and change nothing, for a record of
// another generation or beyond the bounds of keys, values and vectors. Methods do not block on I/O
// and are safe for concurrent use.
type Store interface {
	// Get returns the key's record and the extended dst, whose bytes the record borrows. An absent
	// key has the zero tag.
	Get(e version.Epoch, h keyspace.Hash, key, dst []byte) (version.Record, []byte, error)
	// Tag is Get without the value.
	Tag(e version.Epoch, h keyspace.Hash, key, dst []byte) (version.Record, []byte, error)
	// Put merges the record into the key's present one.
	Put(e version.Epoch, h keyspace.Hash, key []byte, r *version.Record) (changed bool, err error)
	// Vote stores the tombstone and votes for its owner, unless the copy holds something newer or
	// another owner's tombstone.
	Vote(e version.Epoch, h keyspace.Hash, key []byte, tombstone *version.Record) (voted bool, err error)
	// Warm says that operations on the keys of these hashes are about to follow, MaxWarm of them at
	// most. It changes nothing. It makes those operations faster, most of all where hashes of one
	// partition follow each other.
	Warm(e version.Epoch, hashes []keyspace.Hash)
	// Full reports whether the copy may hold no more. Then new values must be refused.
	Full() bool

	// Digest returns the digest of a range.
	Digest(e version.Epoch, r keyspace.Range) (Digest, error)
	// Page fills p with the range's first records. When after is not nil, it begins behind that key
	// at the range's first rank. The page has about max bytes, and at least one record where there
	// is one.
	Page(e version.Epoch, r keyspace.Range, after []byte, max int, p *Page) error
	// Tombstones appends tombstones from a place on, until dst has max of them or about
	// MaxListBytes. next is the place to go on at, and zero at the end. The keys belong to the
	// caller.
	Tombstones(e version.Epoch, from keyspace.Place, max int, dst []Tombstone) (list []Tombstone, next keyspace.Place, err error)
	// Check recomputes, from its records, the digest of the bucket that holds a rank. It returns
	// the bucket's range. drift is not nil when the digest that the writes have kept is another.
	Check(at keyspace.Rank) (bucket keyspace.Range, drift error)
}

// MaxWarm is how many keys an operation on many keys should warm at a time. What they need fits the
// cache of a processor's core then.
const MaxWarm = 32

// MaxListBytes bounds the keys and tags of one purge's list, in bytes, so that the list fits a
// frame. A list may exceed it by one tombstone.
const MaxListBytes = 2 << 20

// ErrEpoch reports that the epoch of an operation is over. Either this node's store has moved on,
// or a peer knows a newer epoch. The views show the next epoch soon. An operation on one key of one
// store has then done nothing. One on many keys, or at several members, may have done a part.
var ErrEpoch = errors.New("the epoch is over")

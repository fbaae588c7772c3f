package replica

import (
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Entry is one record and its place in the order of keys.
type Entry struct {
	Rank   keyspace.Rank
	Key    []byte
	Record version.Record
}

// TagAt names the version that lies at a rank, or says that several keys share the rank.
type TagAt struct {
	Rank   keyspace.Rank
	Shared bool // several keys lie at the rank; Tag and Owner mean nothing
	Tag    version.Tag
	Owner  version.Operation
}

// Tombstone names one version of a key that a remove has left. A purge removes exactly that version
// or nothing.
type Tombstone struct {
	Key []byte
	Tag version.Tag
}

// tombstoneOverhead is a lower bound of what a tombstone in a list costs on the wire, in bytes,
// without its key.
const tombstoneOverhead = 40

// Size returns a lower bound of what the tombstone costs on the wire, in bytes.
func (t *Tombstone) Size() int { return len(t.Key) + tombstoneOverhead }

// Page is a run of entries in ascending order of rank and key.
type Page struct {
	Entries []Entry // borrow the memory of whatever filled the page, until the page is filled again
	// Next is the place at which the next page begins; it borrows likewise. When it has a key, the
	// page ends within a rank: more records of that rank follow.
	Next  keyspace.Place
	Arena []byte // keeps the bytes, for the code that fills the page
}

// Reset empties the page and keeps its memory.
func (p *Page) Reset() { p.Entries, p.Arena, p.Next = p.Entries[:0], p.Arena[:0], keyspace.Place{} }

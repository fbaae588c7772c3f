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

// TagAt says which version lies at a rank, or that several keys share the rank.
type TagAt struct {
	Rank   keyspace.Rank
	Shared bool // several keys lie there; neither tag nor owner says anything
	Tag    version.Tag
	Owner  version.Operation
}

// Tombstone names one version of a key that a remove has left: a purge removes exactly it or
// nothing.
type Tombstone struct {
	Key []byte
	Tag version.Tag
}

// tombstoneOverhead is at least what a tombstone of a list costs on the wire beside its key.
const tombstoneOverhead = 40

// Size is at least what the tombstone costs on the wire, in bytes.
func (t *Tombstone) Size() int { return len(t.Key) + tombstoneOverhead }

// Page is a run of entries in ascending order of rank and key.
type Page struct {
	Entries []Entry // borrow whatever filled the page, until it is filled again
	// Next is where it goes on, and borrows likewise. With a key in it the rank has more than the
	// page.
	Next  keyspace.Place
	Arena []byte // for whoever fills the page to keep the bytes in
}

// Reset empties the page and keeps its memory.
func (p *Page) Reset() { p.Entries, p.Arena, p.Next = p.Entries[:0], p.Arena[:0], keyspace.Place{} }

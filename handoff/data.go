package handoff

import (
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Item is one record and its place.
type Item struct {
	Rank   keyspace.Rank
	Key    []byte
	Record version.Record
}

// itemOverhead is about what an item costs on the wire beside key and value.
const itemOverhead = 24

// size is about what the item costs on the wire.
func (i *Item) size() int {
	return len(i.Key) + len(i.Record.Value) + len(i.Record.Vector) + itemOverhead
}

// Page is a run of items in ascending order of rank and key.
type Page struct {
	Items []Item // borrow whatever filled the page, until it is filled again
	// Next is where it goes on, and borrows likewise. With a key in it the rank has more than the
	// page.
	Next  keyspace.Place
	Arena []byte // for whoever fills the page to keep the bytes in
}

// Reset empties the page and keeps its memory.
func (p *Page) Reset() { p.Items, p.Arena, p.Next = p.Items[:0], p.Arena[:0], keyspace.Place{} }

// Tagged says which version lies at a rank, or that several keys share it.
type Tagged struct {
	Rank   keyspace.Rank
	Shared bool // neither tag nor owner says anything
	Tag    version.Tag
	Owner  version.Operation
}

// taggedSize is about what a Tagged costs on the wire.
const taggedSize = 16

// digestSize is about what the comparison of one range costs on the wire, both ways.
const digestSize = 32 + 16

// Tombstone names one tombstone.
type Tombstone struct {
	Key []byte
	Tag version.Tag
}

// tombstoneOverhead is at least what a tombstone of a list costs on the wire beside its key.
const tombstoneOverhead = 40

// Size is at least what the tombstone costs on the wire.
func (t *Tombstone) Size() int { return len(t.Key) + tombstoneOverhead }

// List is what one purge removes.
type List struct {
	ID         uint64
	At         version.Epoch // the epoch at which its members said that they hold it
	Tombstones []Tombstone
}

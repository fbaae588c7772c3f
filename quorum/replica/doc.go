// Package replica has the types by which all packages speak of copies of the keys: what one copy
// can do (Store), what is in it (Entry, TagAt, Tombstone, Digest), and what an epoch of the
// topology says of the members that hold one (View, Member). docs/glossary.md explains the terms.
//
// Package node/storage implements such a copy. Package node/wire encodes what one copy sends to
// another. Package quorum reads and writes over R and W of them. Package handoff makes them equal
// again. This package does nothing itself: its types are values.
package replica

// Package replica is the language in which all rooms speak of copies of the keys: what one copy can
// do (Store), what is in it (Entry, TagAt, Tombstone, Digest), and what an epoch of the topology
// says of the members that hold one (View, Member).
//
// node/storage has such a copy; node/wire encodes what passes between two of them; quorum reads and
// writes over R and W of them; handoff makes them equal again. The package does nothing itself: its
// types are values, and only the Clock changes.
package replica

// Package ring says which member of a cluster owns which partition of the key space, and in which
// order the others follow.
//
//	members (a sorted set) ──Build──▶ Snapshot: partition → owner, preference list
//
// R1. A snapshot is a pure function of the set of members: the order in which they are given, their
// addresses and the moment play no part. So all nodes that have adopted one topology agree without
// a word.
//
// R2. The ring is a preference, never a condition of safety. A node with another snapshot asks
// another owner first; quorums do not notice.
//
// R3. Placement is part of the protocol's performance, not of its correctness, but it is frozen all
// the same (testdata/placement): a new version of a library or another hash would move every
// partition of a cluster that is upgraded node by node.
//
// R4. When one member comes or goes few partitions change hands: its own and, by the bound on the
// load, some of the others'.
package ring

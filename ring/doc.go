// Package ring decides which member of a cluster owns each partition of the key space, and in which
// order the other members follow. docs/glossary.md explains the terms.
//
//	members (a sorted set) ──Build──▶ Snapshot: partition → owner, preference list
//
// R1. A snapshot is a pure function of the set of members. The order in which they are given, their
// addresses and the time play no part. So all nodes that have adopted one topology compute the same
// snapshot without exchanging a message.
//
// R2. The ring is a preference, never a condition of safety. A node with another snapshot asks
// another owner first. Quorums do not depend on the ring.
//
// R3. Placement matters for the protocol's performance, not for its correctness. It is frozen all
// the same (testdata/placement): a new version of a library or another hash would move every
// partition of a cluster that is upgraded node by node.
//
// R4. When one member joins or leaves, few partitions change their owner: those of that member and,
// because of the bound on the load, some partitions of the other members.
package ring

// Package handoff makes replicas equal again: after a missed write, a partition, a lost memory, a
// change of size, and when removed keys' tombstones may go.
//
//	hints     a member missed a key          ──▶ replay: send it the present local record
//	repair    a member came back, or its turn ──▶ compare digests level by level, exchange what differs, both ways
//	rebuild   this node's memory is lost     ──▶ copy each partition from its owner, compare with enough others
//	barrier   the number of slots changed    ──▶ compare with enough of the slots named by the change, take what is newer there
//	purge     tombstones that all N hold     ──▶ agree on a list, one step of the topology, remove it
//	check     one bucket a second            ──▶ its digest recomputed from its records
//
// The decisions (plan, descent, diff, hint sets, batch sizes) are values that are stepped by hand
// in tests; the Driver's loops carry them out.
//
// Invariants, cited by number (D, M and G rules are those of docs/consistency.md):
//
//	H1. What was read at an epoch, here or at a peer, is stored at that epoch or not at all. Both
//	    reads and writes name the epoch, and the store carries them out under the lock of the
//	    partition and only while that is at the epoch. A purge or a clear changes the store once
//	    every partition has left the epoch before. So nothing that was read before a purge or a
//	    clear can be stored after it: a value under a purged tombstone cannot come back through
//	    repair (G2).
//	H2. A rebuild is complete when each partition has been merged from as many distinct active
//	    members as the topology asks for, each of which answered at an epoch no older than the loss
//	    (M3). A range is merged from a member when it was copied from it, when the digests of both
//	    agree, or when everything that is newer there was fetched.
//	H3. A rebuild has one basis: generation, purge sequence and size, and no other member lost its
//	    memory since. When the basis is gone it starts over (M2, G3); what it has stored stays, and
//	    makes the next round a comparison of digests.
//	H4. A hint is a key (D8). What is sent is what this node holds at the moment of sending. Hints
//	    are bounded; past the bound they collapse into a repair with the member.
//	H5. A range is exchanged only after it differed twice, at least a round trip apart: what differs
//	    once is mostly a write under way.
//	H6. A tombstone is purged only if every slot's active incarnation has said at one epoch that it
//	    holds exactly it, and the purge is the very next change of the topology (G1). See purge.go
//	    for why that is enough.
//	H7. Memory is bounded: pages, lists and spans in flight have limits, whatever the store's size
//	    and however many keys share a rank.
//
// Deliberately not here: no clocks decide anything, no value is kept for an absent member, and
// nothing is ever removed by age alone.
package handoff

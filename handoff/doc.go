// Package handoff makes replicas equal again: after a missed write, a partition, a lost memory or a
// change of size. It also removes the tombstones of removed keys, once that is safe.
// docs/glossary.md explains the terms.
//
//	hints    a member missed a key            ──▶ replay: send it the present local record
//	repair   a member came back, or its turn  ──▶ compare digests level by level, exchange what
//	                                              differs, both ways
//	rebuild  this node's memory is lost       ──▶ copy each partition from its owner, compare with
//	                                              enough others
//	barrier  the number of slots has changed  ──▶ compare with enough of the slots that the change
//	                                              names, take what is newer there
//	purge    all N hold the same tombstones   ──▶ agree on a list, one step of the topology,
//	                                              remove it
//	check    one bucket a second              ──▶ recompute its digest from its records
//
// The decisions (plan, descent, difference, hints, batch sizes) are values that tests step by hand.
// The loops of the Driver carry them out.
//
// Invariants, cited by number (D, M and G rules are those of docs/consistency.md):
//
//	H1. What was read at an epoch, here or at a peer, is stored at that epoch or not at all. Reads
//	    and writes name the epoch. The store carries them out under the lock of the partition, and
//	    only while the partition is at that epoch. A purge or a clear changes the store once every
//	    partition has left the former epoch. So nothing that was read before a purge or a clear can
//	    be stored after it: repair cannot bring back a value under a purged tombstone (G2).
//	H2. A rebuild is complete when each partition has been merged from as many distinct active
//	    members as the topology asks for. Each of them has answered at an epoch no older than the
//	    loss (M3). A range is merged from a member when it was copied from there, when the digests
//	    of both agree, or when everything that is newer there was fetched.
//	H3. A rebuild has one basis: generation, purge sequence and size; and no other member has lost
//	    its memory since. When the basis is gone, the rebuild starts over (M2, G3). What it
//	    has stored stays, and makes the next round a comparison of digests.
//	H4. A hint is a key (D8). What is sent is what this node holds at the moment of sending. Hints
//	    are bounded. Past the bound they collapse into a repair with the member.
//	H5. A range is exchanged only after it has differed twice, at least a round trip apart. What
//	    differs once is mostly a write under way.
//	H6. A tombstone is purged only if every slot's active incarnation has said at one epoch that it
//	    holds exactly this version, and if the purge is the very next change of the topology (G1).
//	    The comment in purge.go says why that is enough.
//	H7. Memory is bounded: pages, lists and open spans have limits, whatever the store's size and
//	    however many keys share a rank.
//
// The package deliberately omits three things. No clock decides anything. No value is kept for an
// absent member. Nothing is ever removed because of its age alone.
package handoff

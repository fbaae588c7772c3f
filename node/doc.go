// Package node wires one running replica: the agreed topology, the store, the coordinator, the
// repair of what is missing, and the answers to peers. It is the one composition root below HTTP.
// The binary, the tests and the simulation all start here. docs/glossary.md explains the terms.
//
// A process has several memberships, one after another: first alone, as a cluster of one, then as a
// member of the mesh that it joins. A node that has left belongs to no cluster until it joins
// again. Each membership has a boot ID, a store and a counter of its own, so nothing of one
// membership can be mistaken for another's.
//
//	HTTP ──▶ Node ──▶ quorum.Coordinator ──▶ own store
//	                  │
//	                  └▶ peer.Client ──▶ transport ──▶ peer.Server of another node ──▶ its store
//	topology.Manager ──Adopt──▶ membership: fence the store, publish the view,
//	                            start what the new epoch asks for
//
// Invariants, beside those of what peers ask of each other (node/peer, N2, N3 and N6):
//
//	N1. A node takes up an epoch in three steps: it moves every partition of the store to the epoch,
//	    publishes the epoch to the data path, and reports it to the others. The store refuses what
//	    is stamped with another epoch, single keys and whole ranges alike (storage S1). So once this
//	    node has reported an epoch, nothing stamped with an older one completes here (D1, M5).
//	N4. The tombstones of a purge are removed after every partition has been moved to the purge's
//	    epoch, and before that epoch is published (G2).
//	N5. Every member stores every value. So while a member that answers is at its memory limit, all
//	    members refuse new values (memory.go). A copy that must be whole goes above the limit.
package node

// Package node wires one running replica: the agreed topology, the store, the coordinator, the
// repair of what is missing, and the answers to peers. It is the one composition root below HTTP;
// the binary, the tests and the simulation all start here.
//
// A process lives several lives, one after another: alone, as a cluster of one; as a member of the
// mesh that it joined; after a leave, as nobody. A life has a boot id, a store and a clock of its
// own, so nothing of one life can be mistaken for another's.
//
//	HTTP ──▶ Node ──▶ quorum.Coordinator ──▶ own store
//	                  │
//	                  └▶ peer.Client ──▶ transport ──▶ peer.Server of another node ──▶ its store
//	topology.Manager ──Adopt──▶ life: fence the store, publish the view,
//	                            start what the new epoch asks for
//
// Invariants, beside those of what peers ask of each other (node/peer, N2, N3 and N6):
//
//	N1. An epoch is published to the data path after every partition of the store has been moved to
//	    it, and reported to the others after it was published. The store itself refuses what is
//	    stamped with another epoch, single keys and whole ranges alike (storage S1). So once this
//	    node has reported an epoch, nothing stamped with an older one completes here (D1, M5).
//	N4. What a purge removes is removed after every partition has been moved to its epoch, and
//	    before that is published (G2).
//	N5. Every member stores every value: while one that answers is at its memory limit, all refuse
//	    new values (memory.go). A copy that must be whole goes above the limit.
package node

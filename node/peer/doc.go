// Package peer is what a node sends to other members, and what it answers them: the quorum phases,
// the removes that it coordinates for others, the bulk requests of hand-off and scans, what members
// tell each other of their memory, and what an operator is shown of one member. docs/glossary.md
// explains the terms.
//
//	coordinator, scans, hand-off ──▶ Client ──▶ Epoch ──▶ transport ──▶ Server ──▶ Epoch ──▶ store
//
// The records that coordinators store at one peer travel as a stream of batches (stream.go). Every
// other request is a message of its own.
//
// A Membership stands for one membership of this node in one cluster. An Epoch is what that
// membership knows at one epoch. The Client finds the Epoch in the view that a caller works at (its
// Origin). The Server finds it by the stamp of a request: a process may have two memberships while
// it joins another mesh and still serves its own clients. The package knows neither the topology
// nor the coordinator that serves a peer's remove. It asks its Host for what they do for a peer.
//
// Invariants:
//
//	N2. A request of a peer is served only if its stamp names this cluster, this epoch, this
//	    node's incarnation as its destination, and a member as its source. A goodbye is heard
//	    whatever its epoch: it changes no record, and an incarnation stops for all of them.
//	N3. A pending incarnation stores what it is sent and answers no query (M4).
//	N6. A request that must not be done twice is done at most once, however often the network
//	    delivers it. A refusal that lets its sender do the request elsewhere holds for every copy
//	    of the request (T1). So it comes from the process that was meant: a refusal by the one
//	    that has its address now does not show what became of another copy.
package peer

// Package peer is what a node says to other members, and what it answers them: the quorum phases,
// the removes that it coordinates for others, the bulk requests of hand-off and scans, what members
// tell of their memory, and what an operator is shown of one.
//
//	coordinator, scans, hand-off ──▶ Client ──▶ Epoch ──▶ transport ──▶ Server ──▶ Epoch ──▶ store
//
// A Membership is one boot of this process in one cluster, and an Epoch what it knows and is at one
// epoch of that. The Client finds the Epoch in the view that a caller works at (its Origin). The
// Server finds it by the stamp of a request: a process may have two memberships, where it joins
// another mesh while it still serves its own clients. What the topology and the coordinator do for
// a peer the room asks of its Host; it knows neither.
//
// Invariants:
//
//	N2. A request of a peer is served only if its stamp names this cluster, this epoch, this
//	    node's incarnation as its destination, and a member as its source. A goodbye is heard
//	    whatever its epoch: it changes no record, and an incarnation stops for all of them.
//	N3. A pending incarnation stores what it is sent and answers no query (M4).
//	N6. A request that must not be done twice is done at most once, however often the network
//	    delivers it, and a refusal that lets its sender do it elsewhere holds for every copy (T1,
//	    D10).
package peer

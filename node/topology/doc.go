// Package topology lets the nodes of a cluster agree on its members. docs/glossary.md explains the
// terms.
//
//	seeds ──found or enter──▶ document ──▶ consensus group (raft, in memory)
//	                                            │ applied entries
//	requests ──submit──▶ leader: one serial loop ┤            ┌── update ──▶ other members
//	(enter, leave, clear, purge, activate …)     └─▶ apply ─▶ Topology ──Adopt──▶ Host (the node)
//
// The log carries the topology and nothing else. Only its applied state drives the data path. The
// package has three layers, from pure to busy: the state machine (apply and the types it works on),
// the leader's decisions (decide, over a scene), and the goroutines that carry them out (Manager,
// group, leader, updaters).
//
// Invariants, cited by number:
//
//	E1. A published Topology never changes, is committed, and is the only one of its cluster and
//	    epoch. So any node may send it to a peer, and a node that is behind may skip the epochs
//	    in between.
//	E2. One goroutine adopts documents, in ascending order of epochs. A node reports an epoch only
//	    after its Host has returned from Adopt: from then on nothing stamped older completes there.
//	E3. An incarnation is the index of the log entry that admitted it. A founding document takes 1
//	    to N, and its log begins after N.
//	E4. Every entry names the epoch that it expects, and does nothing at any other epoch. The leader
//	    names only epochs that it has seen sealed (M5). So no entry takes effect before its
//	    predecessor is sealed, whatever happens to the leader.
//	E5. Every entry carries an operation ID and takes effect once. A caller that did not receive the
//	    answer asks again under the same ID.
//	E6. A process votes under its boot ID. A restarted process is another voter: an empty log never
//	    speaks for the one that was lost. The leader removes the old voter before it vacates the
//	    slot, and promotes the new one once that has caught up (M10).
//	E7. A flow of several steps keeps nothing in the leader that its successor needs. The next
//	    leader reads the missing steps off the applied topology, the voters, and the members'
//	    reports.
//	E8. A node founds a cluster only after every seed has promised itself to it, each having seen
//	    the same set of fresh processes (M9). A promise ends when its founder is proved dead or says
//	    that it does not found. Each address of a seed's name is a seed. A resolver may show only
//	    some of the addresses. So no process founds alone by a name that is not its own, and names
//	    that no node advertises must have kept their addresses for a while. With Config.Expect it
//	    is certain that no second cluster is founded.
//	E9. A process is admitted, or gets a promise as a founder, only after another node has met it at
//	    the address that it advertises.
//
// Locks: Manager.mu and leader.mu guard fields. They are never held together, and never across a
// call, a callback or a channel operation that may block.
package topology

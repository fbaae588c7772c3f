// Package topology lets the nodes of a cluster agree on who is in it.
//
//	seeds ──found or enter──▶ document ──▶ consensus group (raft, in memory)
//	                                            │ applied entries
//	requests ──submit──▶ leader: one serial loop ┤            ┌── hand over ──▶ other members
//	(enter, leave, clear, purge, activate …)     └─▶ Apply ─▶ Topology ──Adopt──▶ Host (the node)
//
// The log carries the topology and nothing else, and only its applied state drives the data path.
// Three layers, from pure to busy: the state machine (Apply and the types it works on), the
// leader's decisions (decide, over a scene), and the goroutines that carry them out (Manager,
// group, leader, couriers).
//
// Invariants, cited by number:
//
//	E1. A published Topology never changes, is committed, and is the only one of its cluster and epoch. So any peer may hand it on,
//	    and who is behind may skip what lies between.
//	E2. Documents are adopted in ascending order by one goroutine. A node reports an epoch only after its Host has returned from
//	    Adopt: from then on nothing stamped older completes there.
//	E3. An incarnation is the index of the log entry that admitted it; a founding document takes 1 to N and its log begins after N.
//	E4. Every entry names the epoch that it expects, and at any other does nothing. The leader names only epochs that it
//	    has seen sealed (M5); so no entry takes effect before its predecessor is sealed, whatever became of the leader.
//	E5. Every entry carries an operation id and takes effect once. Who did not hear the answer asks again under the same id.
//	E6. A process votes under its boot id. A restarted process is another voter: an empty log never speaks for the one that was lost.
//	    The old voter is removed before the slot is vacated and the new one is promoted once it has caught up (M10).
//	E7. A flow of several steps keeps nothing in the leader that its successor needs: what is missing is read off the
//	    applied topology, the voters, and what the members report.
//	E8. A cluster is founded only by a node to which every seed has promised itself, each having seen the same
//	    set of fresh processes (M9). A promise ends when its founder is proved dead or says that it does not found.
//	    Each address of a seed's name is a seed. A resolver may show a part of them: so no process founds alone
//	    by a name that is not its own, names that no node advertises must have kept their addresses for a
//	    while, and Config.Expect makes it certain.
//	E9. A process is admitted, and is promised to as a founder, only once it was met at the address that it
//	    advertises.
//
// Locks: Manager.mu and leader.mu guard fields, are never held together, nor across a call, a
// callback or a channel operation that may block.
package topology

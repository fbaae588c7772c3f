// Package chaos starts a cluster of real processes and breaks what the cluster must survive.
// Package check then decides whether its clients noticed.
//
//	clients ──HTTP──► node-a ──► link a→b ──► node-b    every ordered pair of nodes has a link
//	                     ▲                      │       of its own, so that one direction alone
//	                     └────── link b→a ◄─────┘       can be cut: what a sends b on its own
//	                                                    connection, and what it answers on b's
//
// X1. At most as many slots are down at once, killed and not yet rebuilt, as the cluster promises
// to survive: those that leave a majority of its members, (N-1)/2. So of two nodes none is killed.
// A node is killed only when all other nodes report no slot as down except the slots already
// counted.
//
// X2. Nodes leave and join one at a time, and only while no node is down. The network and the
// scheduling of processes may be broken at any time.
//
// X3. All random choices come from the seed, but the timing of the processes does not. The same
// seed repeats the plan, not the run.
//
// X4. In the end everything is healed. A cluster that does not then come together again, with equal
// digests, has not passed, whatever its history says.
//
// X5. Every process that was started is ended and waited for, however the run ends.
package chaos

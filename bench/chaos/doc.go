// Package chaos starts a cluster of real processes, breaks what it must survive, and lets package check decide whether its clients noticed.
//
//	clients ──HTTP──► node-a ──► link a→b ──► node-b      every ordered pair of nodes has a link of its own,
//	                     ▲                      │         so that one direction alone can be cut: what a sends b
//	                     └────── link b→a ◄─────┘         on its connection, and what a answers on b's
//
// X1. At most as many slots are down at once, killed and not yet rebuilt, as the cluster promises to
// survive: those that leave a majority of its members, (N-1)/2. So of two none is killed. A node is
// killed only when all others know of no slot that is down beside those counted.
//
// X2. Nodes leave and join only while nothing is down, one at a time. The network and the scheduler of processes may be broken at any time.
//
// X3. All random choices come from the seed. What the processes make of them does not: a seed repeats the plan, not the run.
//
// X4. In the end everything is healed; a cluster that does not come together again, with equal digests, has not passed, whatever its history says.
//
// X5. Every process that was started is ended and waited for, however the run ends.
package chaos

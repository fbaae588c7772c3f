// Package check records what concurrent clients asked a cluster and what they were told, and decides whether one register per key could have
// answered so: linearizability (Herlihy and Wing 1990), by the search of Wing and Gong as Porcupine does it.
//
// K1. An operation is in the history from before it was sent. One that got no definite answer stays open to the end of the history: it may
// take effect at any later time, or never.
//
// K2. An answer that says that nothing happened is taken at its word, and the operation left out. Should it have taken effect after all, some
// later read sees a value that nobody wrote.
//
// K3. The register is strict: remove is a test-and-clear, which says "missing" when there is no value and succeeds once for each; clear writes
// "absent" to every key at one moment of its own interval on each; every value is written once only.
//
// K4. A key whose check runs out of time is undecided, and a run with undecided keys has not passed.
//
// K5. Each key of a scan is a read of its own within the scan's interval. A scan as a whole promises no more (it is no snapshot).
//
// The search is exponential in how many operations of a key overlap: keys are replaced every few hundred operations, and earlier when
// several outcomes were left open.
package check

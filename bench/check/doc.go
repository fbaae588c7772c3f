// Package check records what concurrent clients asked a cluster and what they were told. It decides
// whether one register per key could have answered so. That is linearizability (Herlihy and Wing
// 1990), decided by the search of Wing and Gong as Porcupine does it.
//
// K1. An operation is in the history from before it was sent. One that got no definite answer stays
// open to the end of the history: it may take effect at any later time, or never.
//
// K2. When an answer says that nothing happened, the check believes it and leaves the operation
// out. If the operation has taken effect nevertheless, some later read returns a value that no
// operation of the history wrote.
//
// K3. The register is strict. Remove is a test-and-clear: it says "missing" when there is no value,
// and succeeds once for each value. Clear writes "absent" to every key, to each at one moment
// within the interval of the clear. Every value is written once only.
//
// K4. A key whose check runs out of time is undecided, and a run with undecided keys has not
// passed.
//
// K5. Each key of a scan is a read of its own within the scan's interval. A scan as a whole
// promises no more: it is no snapshot.
//
// K6. A stale answer is noticed when it comes, by a rule that needs no search (stale.go). So a long
// run says at once that it has found one. What the rule says is wrong, the search finds as well.
//
// The search is exponential in how many operations of a key overlap. So a key is replaced every few
// hundred operations, and earlier when several outcomes were left open.
package check

// Package raftkv is a key-value store that agrees by Raft, to compare viakv with. It is built of
// go.etcd.io/raft and fasthttp, and answers the requests of viakv's data surface: /set, /get, /is
// and /rm.
//
// It is to be as fast as such a store can be made with reasonable effort, because a slow neighbour
// proves nothing. So it leaves out what viakv does not do either.
//
// R1. Everything is in memory, the log and the votes as well. A node that has ended must not be
// started again under its ID, because it would have forgotten its votes.
//
// R2. Every node answers reads, and each read is linearizable: the leader confirms at a majority
// that it still leads (ReadIndex), and the node answers from its own copy once it has applied what
// the leader had committed. No clock is assumed. A node has one such question under way. The reads
// that come meanwhile share the next one.
//
// R3. Every node takes writes. The writes that come while one batch of the node is under way go
// into the next batch. A batch is one entry of the log. A follower forwards it to the leader.
//
// R4. No batch is proposed twice. When its outcome cannot be known any more, because the leader has
// changed or time is over, its writes are answered 504.
//
// R5. One goroutine at a time works on the Raft state: the one that has brought input and found
// nobody at work. Others leave their input to it. So a message is read, handled and answered
// without a switch between goroutines.
package raftkv

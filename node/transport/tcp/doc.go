// Package tcp carries calls over TCP: one connection per peer, direction and class.
//
//	frame = length of payload (u32, little-endian) | call id (u32) | payload
//
// Many calls are in flight on one connection. Replies come in any order and carry their call's ID.
// ID 0 is a keep-alive, which the other side echoes. A connection begins with a hello in each
// direction (hello.go).
//
// A reply that cannot be sent is refused: the highest bit of the length is set, and the payload is
// one byte that says why. The call ends at once with an error, so its caller does not wait for a
// reply that never comes.
//
// The speed depends on how many calls share one write. A write, with the peer's wake-up and its
// read, costs twenty times what a call costs otherwise. So a caller that finds no write under way
// yields once (runtime.Gosched) before it takes the buffer. Meanwhile the other callers that are
// ready to run append their requests. This needs no timer. A caller does not yield while no other
// call waits for its reply on the connection: it is likely to be the only one. Nor does it yield
// with a request that has gathered already (Call.Gathered).
//
// Lock order: client.mu, then Transport.mu or batch.mu. No lock is held while a call completes, or
// across I/O.
package tcp

// Package tcp carries calls over TCP: one connection per peer, direction and class.
//
//	frame = length of payload (u32, little-endian) | call id (u32) | payload
//
// Many calls are in flight on one connection; replies come in any order and carry their call's id. Id 0 is a keep-alive, which the
// other side echoes. A connection begins with a hello in each direction (hello.go).
//
// A reply that cannot be sent is refused: the highest bit of the length is set, and the payload is
// one byte that says why. Its call ends at once with an error; nobody waits for what never comes.
//
// What decides the speed is how many calls share one write, for a write, the peer's wake-up and its read cost twenty times what
// a call costs otherwise. So the caller that finds nobody writing yields once (runtime.Gosched) before it takes the buffer: the
// other callers that are ready to run append theirs meanwhile. It needs no timer, and a caller that is alone leaves it out.
//
// Lock order: client.mu, then Transport.mu or batch.mu. No lock is held while a call completes, or across I/O.
package tcp

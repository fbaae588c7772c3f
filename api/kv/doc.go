// Package kv is the contract of a store: what the HTTP API asks of it, what it may answer, and how
// a caller tells one kind of failure from another. The mesh of nodes and the databases implement
// it; kvtest holds all of them to it.
//
// C1. A key has 1 to MaxKeyCharacters Unicode characters of valid UTF-8, and a value 0 to
// MaxValueCharacters. The API checks them before a store sees them. NUL is a character like any
// other.
//
// C2. Every method may block until its deadline and no longer. All methods are safe for concurrent
// use.
//
// C3. Slices given to a store are borrowed for the call. Slices that a store returns belong to the
// caller, except those of a Batch, which live until the scanner's next call.
//
// C4. An error is one of this package's, possibly wrapped. A mutation that returns Unavailable with
// outcome None has changed nothing and never will; with outcome Unknown it may take effect at any
// later time. Any other error has changed nothing.
package kv

// Package kvtest holds every implementation of kv.Store to its contract: the mesh and the databases
// run the same checks.
//
// A check knows nothing of the store behind the contract. Where the contract leaves a choice, every
// choice passes: a version may be zero, a contended remove may end unknown, a snapshot may be
// refused with an ArgumentError. The checks themselves are tested with stores that have one fault
// each, which the checks must find.
package kvtest

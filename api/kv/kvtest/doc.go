// Package kvtest holds every implementation of kv.Store to its contract: the mesh and the databases run the same checks.
//
// A check knows nothing of the store behind the contract. Where the contract leaves a choice (a version may be zero, a
// contended remove may end unknown, a snapshot may be refused with an ArgumentError), every choice passes. The checks
// themselves are tested against stores with one fault each, which they must find.
package kvtest

// Package simulation runs whole nodes, with their real consensus, stores and coordinators, on a
// simulated network in virtual time. It breaks them in every way that docs/testing.md lists, and
// checks what their clients saw. It holds tests only:
//
//	go test ./node/simulation                          a few seeds of each shape
//	go test ./node/simulation -sim.for 10m             as many as fit (make sim)
//	go test ./node/simulation -sim.seed 17 -v          one seed, with its faults
//
// A run is one bubble of testing/synctest. The order in which goroutines run inside a bubble is not
// fixed. So a seed makes the same faults at the same times, but not always the same history.
package simulation

// Package simnet is a network in memory for simulations inside testing/synctest. It has seeded
// delays with a long tail, loss, duplication, reordering, one-way partitions, pauses and kills. It
// uses channels and time only, so inside a bubble its time is virtual.
//
// Every hop copies the bytes: two nodes share nothing but what a real network would carry. The
// sender of a lost message learns nothing, so a caller that waits must bring a deadline; only a
// message of class Bulk that is lost when it is sent ends its call. The seed, and the order in
// which goroutines reach the network, decide the fate of each message. The runtime does not fix
// that order, so two runs with one seed are alike, not equal.
package simnet

// Package simnet is a network in memory for simulations inside testing/synctest: seeded delays with a long tail, loss, duplication,
// reordering, one-way partitions, pauses and kills. It uses channels and time only, so inside a bubble its time is virtual.
//
// Every hop copies the bytes: nothing is shared between two nodes but what a real network would carry. A message that is
// lost says nothing to its sender; whoever waits must bring a deadline. Which message meets which fate depends on the seed and
// on the order in which goroutines reach the network, which the runtime does not fix: a seed makes a run alike, not equal.
package simnet

// Package workload says what a load consists of: which keys, which values, in which proportions,
// and how often each key.
//
// W1. The key and the value of an index are functions of the seed. So a program that knows the
// configuration can check what a store holds without having written it.
//
// W2. Everything here is pure. What is random comes from a seed, and the same seed gives the same
// sequence.
package workload

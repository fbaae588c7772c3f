// Package workload says what a load consists of: which keys, which values, in which proportions and how often each key.
//
// W1. Key and value of an index are functions of the seed: whoever knows the configuration can check what a store
// holds without having written it.
//
// W2. Everything here is pure; a Distribution draws from the source it is given, and the same seed gives the same sequence.
package workload

// Package history records how much a cluster has answered and refused, how fast, and how well it
// served: an hour of it, in bounded memory. It subtracts what each process has counted from what
// the same process had counted before, and adds the differences up. It knows no clock, no network
// and no store.
package history

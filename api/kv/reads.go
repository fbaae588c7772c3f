package kv

import "time"

// Reads is how a cluster answers reads that name no number of replicas.
type Reads string

const (
	// ReadsLease says that a node answers from its own copy where leases of other members allow it,
	// and by a quorum otherwise. It is the default.
	ReadsLease Reads = "lease"
	// ReadsQuorum says that each read asks a quorum.
	ReadsQuorum Reads = "quorum"
)

// ParseReads returns the way of answering reads that has this name, and false when none has it.
func ParseReads(s string) (Reads, bool) {
	switch r := Reads(s); r {
	case ReadsLease, ReadsQuorum:
		return r, true
	}
	return "", false
}

// The length of a lease. Writes wait that long for a member that was lost with a lease. A shorter
// one is renewed more often.
const (
	DefaultLease = 50 * time.Millisecond
	MinLease     = 10 * time.Millisecond
	MaxLease     = 10 * time.Second
)

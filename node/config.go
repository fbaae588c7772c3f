package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/topology"
	"viakv/node/transport"
	"viakv/quorum/lease"
)

// Config is the configuration of a Node.
type Config struct {
	// Name identifies the node in its cluster, across restarts and addresses. Required.
	Name string
	// HTTP is where clients reach the node, host:port. The node only shows it to peers and people.
	// Empty: no address is shown.
	HTTP string
	// Peer is where other nodes reach this one, host:port. Required.
	Peer transport.Address
	// Seeds are peer addresses of the cluster's first members. This node's own address may be among
	// them. Empty: the node founds a cluster of one.
	Seeds []transport.Address
	// Expect is how many nodes found the cluster. It must be more than half of all nodes that are
	// started with these seeds, so that no two groups of them found a cluster each. 0: the nodes
	// that the seeds lead to.
	Expect int
	// Resolve returns the addresses of a seed's host name. Each of them is a seed. Resolve may
	// block until ctx ends. Nil: names are not looked up.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Addresses returns the addresses of this machine. They tell whether two addresses of one name
	// lead to the same node. Nil: none are known.
	Addresses func() []netip.Addr

	// ReadQuorum and WriteQuorum are the quorums of a cluster that this node founds. Default:
	// majority.
	ReadQuorum, WriteQuorum kv.Quorum
	// AllowWeak permits R + W ≤ N for a cluster that this node founds. Its reads may then miss
	// acknowledged writes (D7).
	AllowWeak bool
	// Reads is how a cluster that this node founds answers reads. Default: kv.ReadsLease.
	Reads kv.Reads
	// Lease is how long a lease of such a cluster lasts, from kv.MinLease to kv.MaxLease. Writes
	// wait that long for a member that was lost with a lease. A shorter one is renewed more often,
	// and more often runs out on a busy machine. Default: kv.DefaultLease.
	Lease time.Duration

	// MaxBytes bounds the memory of keys and values, in bytes. Above it new values are refused. 0:
	// no limit.
	MaxBytes int64
	// HugePages asks the system for large pages for keys and values. Lookups among millions of keys
	// are then faster, for about 4 MiB more memory.
	HugePages bool
	// Timeout bounds requests that bring no deadline. Default 2 s.
	Timeout time.Duration
	// HedgeAfter is how long a phase waits for the replicas that it has asked before it asks more
	// replicas. Default 10 ms.
	HedgeAfter time.Duration

	// Clock measures how long leases last. Nil: the monotonic clock of the process, which stops
	// while the machine is suspended; lease.Machine does not.
	Clock lease.Clock
	// Marker changes when the machine has stood still while others went on. The node does not rest
	// on the leases that it held before. Nil: nobody tells.
	Marker lease.Marker
	// Figures returns what the node has counted of its clients' requests. Heartbeats tell it to the
	// other members. It is called after Run, and must not block. Nil: they are told nothing.
	Figures func() kv.Figures

	// NewTransport makes the node's transport, which passes requests to the given handler.
	// Required.
	NewTransport func(transport.Handler) (transport.Transport, error)
	// Random seeds the generators of boot IDs, of election timeouts and of the secrets of a cluster
	// that this node founds. A simulation gives a seeded one. Default: seeded by the system.
	Random *rand.Rand
	Logger *zap.Logger // default: none
}

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, 2*time.Second)
	c.HedgeAfter = cmp.Or(c.HedgeAfter, 10*time.Millisecond)
	c.Logger = cmp.Or(c.Logger, zap.NewNop())
	if c.Random == nil {
		c.Random = topology.NewRandom(nil)
	}
	return c
}

// validate reports everything that is wrong with the configuration.
func (c Config) validate() error {
	var errs []error
	if !validName(c.Name) {
		errs = append(errs, fmt.Errorf("name %q: want 1 to 64 letters, digits, dots, dashes or underscores", c.Name))
	}
	if c.Peer == "" {
		errs = append(errs, errors.New("peer: the address at which other nodes reach this one is missing"))
	}
	if c.Expect < 0 || c.Expect > 0 && len(c.Seeds) == 0 {
		errs = append(errs, fmt.Errorf("expect %d: want a number of nodes above zero, and seeds by which they find one another", c.Expect))
	}
	if _, known := kv.ParseReads(string(c.Reads)); c.Reads != "" && !known {
		errs = append(errs, fmt.Errorf("reads %q: want %s or %s", c.Reads, kv.ReadsLease, kv.ReadsQuorum))
	}
	if c.Lease != 0 && (c.Lease < kv.MinLease || c.Lease > kv.MaxLease) {
		errs = append(errs, fmt.Errorf("lease %v: want %v to %v", c.Lease, kv.MinLease, kv.MaxLease))
	}
	if c.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("max memory %d: want 0 (no limit) or a number of bytes", c.MaxBytes))
	}
	if c.NewTransport == nil {
		errs = append(errs, errors.New("transport: missing"))
	}
	return errors.Join(errs...)
}

func validName(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
		default:
			return false
		}
	}
	return true
}

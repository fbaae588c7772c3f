package node

import (
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
)

// Config of a Node.
type Config struct {
	// Name identifies the node in its cluster, across restarts and addresses. Required.
	Name string
	// HTTP is where clients reach the node, host:port. It is shown to others and used by nobody here.
	HTTP string
	// Peer is where other nodes reach this one, host:port. Required.
	Peer transport.Address
	// Seeds are peer addresses of the cluster's first members; this node's own may be among them. Empty: a cluster of one.
	Seeds []transport.Address
	// Expect is how many nodes found the cluster: more than half of all that are started with these
	// seeds. 0: those that the seeds lead to.
	Expect int
	// Resolve returns the addresses of a seed's host name, each of which is a seed. It may block
	// until ctx ends. Nil: names are not looked up.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Addresses returns those of this machine: two addresses of one name may be one node's. Nil: none
	// are known.
	Addresses func() []netip.Addr

	// ReadQuorum and WriteQuorum apply when this node founds a cluster. Default: majority.
	ReadQuorum, WriteQuorum kv.Quorum
	// AllowWeak permits R + W ≤ N, with which reads may miss acknowledged writes (D7).
	AllowWeak bool

	// MaxBytes bounds the memory of keys and values, in bytes: above it new values are refused. 0: no limit.
	MaxBytes int64
	// HugePages asks the system for large pages for them: faster lookups among millions of keys, about 4 MiB more memory.
	HugePages bool
	// Timeout of requests that bring no deadline. Default 2 s.
	Timeout time.Duration
	// HedgeAfter is how long a phase waits for the replicas it asked before it asks more. Default 10 ms.
	HedgeAfter time.Duration

	// NewTransport makes the node's transport around its handler. Required.
	NewTransport func(transport.Handler) (transport.Transport, error)
	// Random seeds the generators of boot ids, of election timeouts and of the secrets of a cluster
	// that is founded here; a simulation gives a seeded one. Default: seeded by the system.
	Random *rand.Rand
	Logger *zap.Logger // default: none
}

func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.HedgeAfter == 0 {
		c.HedgeAfter = 10 * time.Millisecond
	}
	if c.Random == nil {
		c.Random = topology.NewRandom(nil)
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	return c
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
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

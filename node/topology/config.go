package topology

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/transport"
)

// Host is what adopts topologies: the node.
type Host interface {
	// Adopt makes t the topology that the node serves at. It is called in ascending epoch order from one goroutine, may block, and
	// returns when nothing stamped with an older epoch can complete here any more. t is read only.
	Adopt(t *Topology)
	// Close is called once, after the last Adopt has returned, when the membership is over or the
	// process stops. It returns when nothing can complete here any more, whatever its epoch. It
	// must not block on the network.
	Close()
}

// Config of a Manager.
type Config struct {
	Self Identity // of this life; Boot must be fresh
	// Seeds are the first members' peer addresses, this node's own possibly among them. Empty: found a cluster of one.
	Seeds []transport.Address
	// Expect is how many nodes found the cluster, when that is more than half of all that are
	// started with these seeds: then no two groups of them can found one each, whatever part of the
	// seeds' addresses a resolver shows them. 0: the nodes that the seeds lead to.
	Expect int
	// Resolve returns the addresses of a host name, each of which is a seed. It may block until ctx
	// ends. Nil: names are not looked up, and the transport dials them as they are.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Addresses returns those of this machine. Nil: none are known.
	Addresses func() []netip.Addr
	// JoinVia is a member's peer address: join its cluster, and never found one. It excludes Seeds.
	JoinVia transport.Address

	// What the cluster is configured to if this node founds it.
	ReadQuorum, WriteQuorum kv.Quorum
	AllowWeak               bool

	// Memory returns what others want to know before they ask for admission. Nil: nothing.
	Memory func() Memory
	// Fits judges, before this node asks for admission as a new member, whether it may hold what a
	// member holds. Nil: it may.
	Fits func(Memory) error
	// Stopping reports whether this process is about to end. It answers as before, and no change of
	// size counts on it any more. Nil: it never does.
	Stopping func() bool

	Transport transport.Transport
	Host      Host
	Logger    *zap.Logger // default: none
	Random    *rand.Rand  // read by New alone; default: seeded by the system

	// Tick is the consensus group's unit of time: a leader is missed after 10 to 20 ticks. Lower: faster fail-over, and more false
	// alarms on a slow machine. Default 50 ms.
	Tick time.Duration
	// Every is how often seeds are asked and members looked after while nothing happens. Default 100 ms.
	Every time.Duration
	// CallTimeout bounds one call to a peer. Default 1 s.
	CallTimeout time.Duration
	// Patience is how long a member may be silent before a change counts without it, a joining node before it is given
	// up, and a peer to join by before it counts as unreachable. Default 3 s.
	Patience time.Duration
}

const electionTicks = 10

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Random == nil {
		c.Random = NewRandom(nil)
	}
	fallback := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	fallback(&c.Tick, 50*time.Millisecond)
	fallback(&c.Every, 100*time.Millisecond)
	fallback(&c.CallTimeout, time.Second)
	fallback(&c.Patience, 3*time.Second)
	return c
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	errs := []error{c.Self.Validate()}
	if c.Transport == nil || c.Host == nil {
		errs = append(errs, errors.New("topology: a transport and a host are required"))
	}
	if len(c.Seeds) > 0 && c.JoinVia != "" {
		errs = append(errs, errors.New("topology: seeds and a peer to join exclude each other"))
	}
	if c.Expect < 0 {
		errs = append(errs, errors.New("topology: the number of founders must not be negative"))
	}
	if c.Tick < 0 || c.Every < 0 || c.CallTimeout < 0 || c.Patience < 0 {
		errs = append(errs, errors.New("topology: intervals must not be negative"))
	}
	return errors.Join(errs...)
}

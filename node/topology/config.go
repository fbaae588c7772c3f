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
	"viakv/quorum/version"
)

// Host is what adopts topologies: the node.
type Host interface {
	// Adopt makes t the topology at which the node serves. One goroutine calls it, in ascending
	// order of epochs. Adopt may block, and returns when nothing stamped with an older epoch can
	// complete here any more. t is read only.
	Adopt(t *Topology)
	// Quiet returns how long it is until all leases are over that this node has given to members
	// who may be below an epoch (L10). Zero: they are over. It stays zero if the node has adopted
	// the epoch before the call, or is closed: it gives no lease to a member that asks at an older
	// epoch. Quiet does not block, and is safe for concurrent use. It may be called after Close.
	Quiet(at version.Epoch) (left time.Duration)
	// Term returns how long a lease lasts. It is the same at all nodes of a cluster. Zero: no
	// leases are given. Term does not block, and is safe for concurrent use. It is called after the
	// first Adopt has returned.
	Term() time.Duration
	// Close is called once, after the last Adopt has returned, when the membership is over or the
	// process stops. It returns when nothing can complete here any more, whatever its epoch, and no
	// lease is given any more. It must not block on the network.
	Close()
}

// Config is the configuration of a Manager.
type Config struct {
	Self Identity // of this membership; BootID must be fresh
	// Seeds are the first members' peer addresses, with or without this node's own. With neither
	// Seeds nor JoinVia the node founds a cluster of one.
	Seeds []transport.Address
	// Expect is the number of nodes that found the cluster. Where it is more than half of all nodes
	// started with these seeds, no two groups of them can found a cluster each, whatever part of
	// the seeds' addresses a resolver shows them. Zero: the nodes that the seeds lead to found it.
	Expect int
	// Resolve returns the addresses of a host name, each of which is a seed. It may block until ctx
	// ends. Nil: names are not looked up, and the transport dials them as they are.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Addresses returns the addresses of this machine. Nil: none are known.
	Addresses func() []netip.Addr
	// JoinVia is the peer address of a member whose cluster this node joins. The node then founds
	// no cluster. JoinVia excludes Seeds.
	JoinVia transport.Address

	// The quorums of the cluster, used only if this node founds it. See Topology.
	ReadQuorum, WriteQuorum kv.Quorum
	AllowWeak               bool
	// Reads is how the cluster answers reads, and Lease how long a lease lasts, used only if this
	// node founds it. Zero: kv.ReadsLease and kv.DefaultLease.
	Reads kv.Reads
	Lease time.Duration

	// Memory returns what other nodes want to know before they ask for admission. Nil: nothing.
	Memory func() Memory
	// Fits returns an error when a member's data has no room on this node. It is called before this
	// node asks for admission as a new member. Nil: the data always fits.
	Fits func(Memory) error
	// Stopping reports whether this process is about to end. The process answers as before, but no
	// change of size counts on it any more. Nil: it is never about to end.
	Stopping func() bool

	Transport transport.Transport
	Host      Host
	Logger    *zap.Logger // nil: nothing is logged
	Random    *rand.Rand  // read by New alone; nil: the system seeds it
}

// The times of a cluster. They are the same in all its nodes.
const (
	// tick is the consensus group's unit of time: a leader is missed after 10 to 20 ticks. A lower
	// value would give faster fail-over, and more false alarms on a slow machine.
	tick = 50 * time.Millisecond
	// electionTicks is the least number of silent ticks after which a follower stands for election.
	electionTicks = 10
	// every is the interval at which seeds are asked and members looked after while nothing
	// happens.
	every = 100 * time.Millisecond
	// callTimeout bounds one call to a peer.
	callTimeout = time.Second
	// patience is how long a process may be silent. After that a change counts without a silent
	// member, a silent joining node is given up, and a peer to join by counts as unreachable.
	patience = 3 * time.Second
)

// validate reports everything that is wrong with the configuration.
func (c Config) validate() error {
	errs := []error{c.Self.validate()}
	if c.Transport == nil || c.Host == nil {
		errs = append(errs, errors.New("topology: a transport and a host are required"))
	}
	if len(c.Seeds) > 0 && c.JoinVia != "" {
		errs = append(errs, errors.New("topology: seeds and a peer to join exclude each other"))
	}
	if c.Expect < 0 {
		errs = append(errs, errors.New("topology: the number of founders must not be negative"))
	}
	return errors.Join(errs...)
}

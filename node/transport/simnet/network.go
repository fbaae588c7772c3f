package simnet

import (
	"math/rand/v2"
	"sync"
	"time"

	"viakv/node/transport"
)

// Config of a Network. Probabilities lie between 0 and 1. The zero value is a network without loss
// and duplicates, with the delays of Calm.
type Config struct {
	Seed      uint64
	Loss      float64
	Duplicate float64
	// Delay draws the delay of one hop. Nil: Calm.
	Delay func(*rand.Rand) time.Duration
	// Observe sees each message when it is delivered, a request or a reply. It must not block. Nil:
	// none.
	Observe func(Message)
}

// Message is one delivered message, for checks of invariants.
type Message struct {
	From, To transport.Address
	Reply    bool
	Request  []byte // of a reply: the request that it answers
	Payload  []byte // borrowed during Observe
}

// Calm draws the delay of a quiet local network: one to two milliseconds.
func Calm(r *rand.Rand) time.Duration {
	return time.Millisecond + time.Duration(r.Int64N(int64(time.Millisecond)))
}

// Harsh draws a delay with a heavy tail: 60 % of the messages take a few milliseconds, every fourth
// takes up to half a second.
func Harsh(r *rand.Rand) time.Duration {
	ms := func(from, to int64) time.Duration {
		return time.Duration(from*int64(time.Millisecond) + r.Int64N((to-from)*int64(time.Millisecond)))
	}
	switch x := r.Float64(); {
	case x < 0.60:
		return ms(1, 3)
	case x < 0.75:
		return ms(5, 65)
	}
	return ms(60, 460)
}

// Network joins the transports of a simulation.
type Network struct {
	cfg Config

	mu     sync.Mutex
	random *rand.Rand
	nodes  map[transport.Address]*Transport
	// cut holds the ways that are cut, each in one direction only: from and to.
	cut    map[[2]transport.Address]bool
	paused map[transport.Address]chan struct{}
	// leads holds where the way from one address to another leads instead.
	leads map[[2]transport.Address]transport.Address
}

// New returns a network without nodes.
func New(cfg Config) *Network {
	if cfg.Delay == nil {
		cfg.Delay = Calm
	}
	return &Network{
		cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, cfg.Seed^0x9e3779b97f4a7c15)),
		nodes:  map[transport.Address]*Transport{},
		cut:    map[[2]transport.Address]bool{},
		paused: map[transport.Address]chan struct{}{},
		leads:  map[[2]transport.Address]transport.Address{},
	}
}

// Node returns a transport at an address. It replaces the transport that had the address before, as
// when a process is restarted.
func (n *Network) Node(at transport.Address, h transport.Handler) *Transport {
	t := &Transport{net: n, at: at, handler: h, open: map[*transport.Call]flight{}}
	n.mu.Lock()
	n.nodes[at] = t
	n.mu.Unlock()
	return t
}

// Cut stops messages from one address to another, in this direction only.
func (n *Network) Cut(from, to transport.Address) { n.set(from, to, true) }

// Heal ends a cut in this direction.
func (n *Network) Heal(from, to transport.Address) { n.set(from, to, false) }

func (n *Network) set(from, to transport.Address, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if cut {
		n.cut[[2]transport.Address{from, to}] = true
	} else {
		delete(n.cut, [2]transport.Address{from, to})
	}
}

// Mislead makes the messages from one address to another arrive at a third, as when names or
// addresses have changed owners unnoticed. It lasts as long as the network.
func (n *Network) Mislead(from, to, instead transport.Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leads[[2]transport.Address{from, to}] = instead
}

// HealAll ends all cuts, loss, duplication and long delays, but no pauses.
func (n *Network) HealAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	n.cfg.Loss, n.cfg.Duplicate, n.cfg.Delay = 0, 0, Calm
}

// Kill takes the node at an address off the network for good. Messages on their way to it are lost,
// and it sends no more.
func (n *Network) Kill(at transport.Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.nodes, at)
}

// Pause holds back everything that arrives at the address until Resume, as when the process is
// stopped. Nothing is lost; all is late.
func (n *Network) Pause(at transport.Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.paused[at] == nil {
		n.paused[at] = make(chan struct{})
	}
}

// Resume ends a pause.
func (n *Network) Resume(at transport.Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.paused[at]; p != nil {
		close(p)
		delete(n.paused, at)
	}
}

// fates draws what becomes of a message on one hop: a delay for each copy that arrives, and none
// when the message is lost. A killed node's messages do not leave it.
func (n *Network) fates(from *Transport, to transport.Address) []time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nodes[from.at] != from || n.cut[[2]transport.Address{from.at, to}] || n.random.Float64() < n.cfg.Loss {
		return nil
	}
	fates := []time.Duration{n.cfg.Delay(n.random)}
	if n.random.Float64() < n.cfg.Duplicate {
		fates = append(fates, n.cfg.Delay(n.random))
	}
	return fates
}

// arrive returns the transport that a message reaches at an address. It returns nil when no node
// has the address, when the way is cut by now, or when done is closed. It waits while the node at
// the address is paused.
func (n *Network) arrive(from, to transport.Address, done <-chan struct{}) *Transport {
	for {
		n.mu.Lock()
		at, cut := to, n.cut[[2]transport.Address{from, to}]
		if instead := n.leads[[2]transport.Address{from, to}]; instead != "" {
			at = instead
		}
		t, p := n.nodes[at], n.paused[at]
		n.mu.Unlock()
		if t == nil || cut {
			return nil
		}
		if p == nil {
			return t
		}
		select {
		case <-p:
		case <-done:
			return nil
		}
	}
}

package simnet

import (
	"math/rand/v2"
	"sync"
	"time"

	"viakv/node/transport"
)

// Config of a Network. Probabilities lie between 0 and 1.
type Config struct {
	Seed      uint64
	Loss      float64
	Duplicate float64
	// Delay of one hop; nil: Calm.
	Delay func(*rand.Rand) time.Duration
	// Observe sees each message when it is delivered, a request or a reply. It must not block.
	Observe func(Message)
}

// Message is one delivered message, for checks of invariants.
type Message struct {
	From, To transport.Address
	Reply    bool
	Request  []byte // of a reply: what it answers
	Payload  []byte // borrowed
}

// Calm is a quiet local network: one to two milliseconds.
func Calm(r *rand.Rand) time.Duration {
	return time.Millisecond + time.Duration(r.Int64N(int64(time.Millisecond)))
}

// Harsh has a heavy tail: most messages take a few milliseconds, every fourth up to half a second.
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
	cut    map[[2]transport.Address]bool // one-way
	paused map[transport.Address]chan struct{}
	leads  map[[2]transport.Address]transport.Address // where the way from one to another leads instead
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

// Node returns a transport at an address. It takes the address over from whoever had it: a process
// was restarted.
func (n *Network) Node(at transport.Address, h transport.Handler) *Transport {
	t := &Transport{net: n, at: at, handler: h, open: map[*transport.Call]flight{}}
	n.mu.Lock()
	n.nodes[at] = t
	n.mu.Unlock()
	return t
}

// Cut stops messages from one address to another, in this direction only.
func (n *Network) Cut(from, to transport.Address) { n.set(from, to, true) }

// Heal lets them through again.
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

// Mislead makes what one address sends to another arrive at a third, as when names or addresses
// have changed hands unseen. It lasts as long as the network.
func (n *Network) Mislead(from, to, instead transport.Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leads[[2]transport.Address{from, to}] = instead
}

// HealAll ends all cuts, loss and long delays.
func (n *Network) HealAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	n.cfg.Loss, n.cfg.Duplicate, n.cfg.Delay = 0, 0, Calm
}

// Kill takes the address's node off the network for good; what is on its way to or from it is lost.
func (n *Network) Kill(at transport.Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.nodes, at)
}

// Pause holds back everything that arrives at the address until Resume, as when the process is
// stopped: nothing is lost, all is late.
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

// fates draws what becomes of a message on one hop: a delay for each copy that arrives, none when
// it is lost. A killed node's messages do not leave it.
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

// arrive returns who is at the address when a message arrives, nil when nobody is or a cut has come
// between. It waits while that one is paused.
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

package topology

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"viakv/node/transport"
)

// network is a small in-memory network with delays, isolated addresses, lost messages and dead
// processes.
type network struct {
	mu       sync.Mutex
	random   *rand.Rand
	at       map[transport.Address]*port
	isolated map[transport.Address]bool
	drop     filter                                  // loses requests
	lose     filter                                  // loses replies
	leads    map[transport.Address]transport.Address // further addresses
}

// lead makes an address lead to a process, as a name of its machine or a further address does.
func (n *network) lead(from, to transport.Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leads[from] = to
}

// listener returns the address that a leads to, a itself by default.
func (n *network) listener(a transport.Address) transport.Address {
	n.mu.Lock()
	defer n.mu.Unlock()
	if to, ok := n.leads[a]; ok {
		return to
	}
	return a
}

// filter picks messages by a request: the request itself, or the reply to it. It is called with the
// network's lock held.
type filter func(from, to transport.Address, request []byte) bool

// filter sets what the network loses: requests by drop, replies by lose. Nil loses none.
func (n *network) filter(drop, lose filter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop, n.lose = drop, lose
}

func newNetwork(seed uint64) *network {
	return &network{
		random: rand.New(rand.NewPCG(seed, 1)),
		at:     map[transport.Address]*port{}, isolated: map[transport.Address]bool{},
		leads: map[transport.Address]transport.Address{},
	}
}

// port is one process's transport.
type port struct {
	net     *network
	address transport.Address
	serve   func(ctx context.Context, dst, request []byte) []byte
	ctx     context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup

	mu   sync.Mutex
	live map[*transport.Call]transport.Address // the address that each call was sent to
	over bool                                  // the process has ended

	forgotten []transport.Address
}

func (n *network) open(a transport.Address) *port {
	p := &port{net: n, address: a, live: map[*transport.Call]transport.Address{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

func (p *port) listen(serve func(ctx context.Context, dst, request []byte) []byte) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.serve = serve
	p.net.at[p.address] = p
}

// close cuts the process off as a crash does: no message leaves or arrives any more.
func (p *port) close() {
	p.net.mu.Lock()
	if p.net.at[p.address] == p {
		delete(p.net.at, p.address)
	}
	p.net.mu.Unlock()
	p.cancel()
}

// isolate cuts an address off from all other addresses in both directions, or ends that. The cut
// holds for addresses that are opened later, too.
func (n *network) isolate(a transport.Address, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.isolated[a] = cut
}

// shortestWay is the shortest time that a message takes.
const shortestWay = time.Millisecond / 2

func (n *network) delay() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return shortestWay + time.Duration(n.random.Int64N(int64(time.Millisecond)))
}

// passes returns the port at to. It returns nil and true when the message is lost without an error,
// and nil and false when no process listens there. A reply passes nil for the request: drop is not
// asked about it.
func (n *network) passes(from, to transport.Address, request []byte) (*port, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if from != to && (n.isolated[from] || n.isolated[to]) || request != nil && n.drop != nil && n.drop(from, to, request) {
		return nil, true
	}
	return n.at[to], false
}

// loses reports whether the reply to a request does not come back.
func (n *network) loses(from, to transport.Address, request []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lose != nil && n.lose(from, to, request)
}

func (p *port) Go(to transport.Address, _ transport.Class, c *transport.Call) {
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		c.Err = transport.ErrClosed
		c.Done.Complete(c)
		return
	}
	p.live[c] = to
	p.work.Add(1)
	p.mu.Unlock()
	to = p.net.listener(to)
	request := append([]byte(nil), c.Request...)
	go func() {
		defer p.work.Done()
		reply, err, silent := p.exchange(to, request)
		if !silent {
			p.finish(c, reply, err)
		}
	}()
}

func (p *port) exchange(to transport.Address, request []byte) (reply []byte, err error, silent bool) {
	time.Sleep(p.net.delay())
	peer, silent := p.net.passes(p.address, to, request)
	if p.ctx.Err() != nil || silent {
		return nil, nil, true
	}
	if peer == nil {
		return nil, fmt.Errorf("connection refused: %w", transport.ErrNotSent), false
	}
	reply = peer.serve(peer.ctx, nil, request)
	time.Sleep(p.net.delay())
	back, silent := p.net.passes(to, p.address, nil)
	if silent || back != p || p.net.loses(p.address, to, request) {
		return nil, nil, true
	}
	if peer.ctx.Err() != nil {
		return nil, transport.ErrBroken, false
	}
	return reply, nil, false
}

func (p *port) finish(c *transport.Call, reply []byte, err error) {
	p.mu.Lock()
	_, mine := p.live[c]
	delete(p.live, c)
	p.mu.Unlock()
	if mine {
		c.Reply, c.Err = append(c.Reply[:0], reply...), err
		c.Done.Complete(c)
	}
}

func (p *port) Cancel(c *transport.Call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, mine := p.live[c]
	delete(p.live, c)
	return mine
}

func (p *port) Health(to transport.Address) transport.Health {
	peer, silent := p.net.passes(p.address, to, nil)
	return transport.Health{Connected: peer != nil && !silent}
}

func (p *port) Forget(to transport.Address) {
	p.mu.Lock()
	p.forgotten = append(p.forgotten, to)
	var lost []*transport.Call
	for c, at := range p.live {
		if at == to {
			lost = append(lost, c)
		}
	}
	p.mu.Unlock()
	for _, c := range lost {
		p.finish(c, nil, transport.ErrClosed)
	}
}

// forgotten returns the addresses to which a process has closed the connections.
func (p *process) forgotten() []transport.Address {
	port := p.m.cfg.Transport.(*port)
	port.mu.Lock()
	defer port.mu.Unlock()
	return slices.Clone(port.forgotten)
}

func (p *port) Run(ctx context.Context) error {
	<-ctx.Done()
	p.mu.Lock()
	p.over = true // from now on Go adds nothing to work, which Run waits for
	p.mu.Unlock()
	p.work.Wait()
	return nil
}

// nameServer holds what the resolvers of a world answer.
type nameServer struct {
	w *world

	mu    sync.Mutex
	lists map[string]func(viewer string) ([]netip.Addr, error) // by host

	machines map[string][]netip.Addr // by node: the addresses of its machine
}

var errNoSuchHost = &net.DNSError{Err: "no such host", IsNotFound: true}

func (w *world) nameServer() *nameServer {
	return &nameServer{w: w, lists: map[string]func(string) ([]netip.Addr, error){}, machines: map[string][]netip.Addr{}}
}

// host gives the machine of a node an address, and lists that address for the node's name.
func (s *nameServer) host(name, ip string) netip.Addr {
	addr := netip.MustParseAddr(ip)
	s.w.net.lead(transport.Address(net.JoinHostPort(ip, "7000")), address(name))
	s.list(name, addr)
	return addr
}

// hosts gives the machines of some nodes an address each.
func (s *nameServer) hosts(names ...string) []netip.Addr {
	var out []netip.Addr
	for i, name := range names {
		out = append(out, s.host(name, fmt.Sprintf("10.0.0.%d", 1+i)))
	}
	return out
}

// list makes a name stand for these addresses, for every viewer. Without addresses the name does
// not exist.
func (s *nameServer) list(name string, ips ...netip.Addr) {
	s.say(name, func(string) ([]netip.Addr, error) {
		if len(ips) == 0 {
			return nil, errNoSuchHost
		}
		return ips, nil
	})
}

// say makes a name stand for what f returns for each viewer, which is the name of a node.
func (s *nameServer) say(name string, f func(viewer string) ([]netip.Addr, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists[name] = f
}

// errHangs is returned by a function of lists to make the look-up hang until its context ends.
var errHangs = errors.New("hangs")

// resolve is an option: the process resolves names, and knows its own addresses, by s.
func (s *nameServer) resolve(c *Config, _ *process) {
	viewer := c.Self.Name
	c.Addresses = func() []netip.Addr { return s.machines[viewer] }
	c.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
		s.mu.Lock()
		list := s.lists[host]
		s.mu.Unlock()
		if list == nil {
			return nil, errNoSuchHost
		}
		ips, err := list(viewer)
		if errors.Is(err, errHangs) {
			<-ctx.Done()
			err = ctx.Err()
		}
		return ips, err
	}
}

package topology

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"viakv/node/transport"
)

// askSeeds asks all seeds at once, each at all its addresses. It returns the answers that count,
// and what a founding needs beside them.
func (m *Manager) askSeeds(ctx context.Context) ([]sighting, conditions) {
	b, c := m.addresses, conditions{expect: m.cfg.Expect}
	b.refresh(ctx, append(slices.Clone(m.cfg.Seeds), m.self.Peer)...)
	var seen []sighting
	done := map[string]bool{canonical(m.self.Peer): true}
	for _, seed := range m.cfg.Seeds {
		if done[canonical(seed)] {
			continue
		}
		done[canonical(seed)] = true
		if host, _, err := net.SplitHostPort(string(seed)); c.shared == "" && err == nil && !fixed(host) {
			c.shared = seed
		}
		places, err := b.places(seed, true)
		if err != nil {
			seen = append(seen, sighting{seed: seed, address: seed, unresolved: true, err: err})
		}
		for _, p := range places {
			seen = append(seen, sighting{seed: seed, address: p.dial, ip: p.ip})
		}
	}
	// What this process advertises should lead to itself alone. Silence there tells nothing: some
	// networks do not lead back.
	var mine []sighting
	places, _ := b.places(m.self.Peer, false)
	for _, p := range places {
		mine = append(mine, sighting{seed: m.self.Peer, address: p.dial, ip: p.ip})
	}
	own := ""
	if len(mine) == 1 {
		own = mine[0].endpoint()
	}
	var asked sync.WaitGroup
	dialled := map[transport.Address]bool{}
	for _, list := range [][]sighting{seen, mine} {
		for i := range list {
			s := &list[i]
			if !s.unresolved {
				dialled[s.address] = true
				asked.Go(func() { s.presence, s.err = m.discover(ctx, s.address, 0) })
			}
		}
	}
	m.hangUp(func(a transport.Address) bool { return dialled[a] })
	b.dialled = dialled
	asked.Wait()
	for i := range mine {
		if s := &mine[i]; s.err == nil && s.BootID != m.self.BootID {
			c.taken = "an address that leads to this node alone: " + addressFault(m.self, s.presence, nil)
		}
	}
	seen, unclaimed := counting(m.self, own, seen)
	for _, seed := range unclaimed {
		if time.Since(b.grown(seed)) < patience {
			c.unsteady = append(c.unsteady, string(seed))
		}
	}
	return seen, c
}

// askPeer asks the peer whose cluster this node is to join. A name may stand for several nodes. The
// answer is then that of the first node that is in a cluster and is not this one.
func (m *Manager) askPeer(ctx context.Context) (presence, error) {
	via := m.cfg.JoinVia
	m.addresses.refresh(ctx, via)
	places, err := m.addresses.places(via, false)
	if err != nil {
		return presence{}, err
	}
	seen := make([]sighting, len(places))
	var asked sync.WaitGroup
	for i, p := range places {
		m.addresses.dialled[p.dial] = true
		asked.Go(func() { seen[i].presence, seen[i].err = m.discover(ctx, p.dial, 0) })
	}
	asked.Wait()
	// rank orders the answers: the lower, the better.
	rank := func(s *sighting) int {
		switch {
		case s.err != nil:
			return 3
		case s.Name == m.self.Name && s.Peer == m.self.Peer:
			return 2
		case s.Topology == nil || s.State == stateLeft:
			return 1
		}
		return 0
	}
	best := &seen[0]
	for i := range seen {
		s := &seen[i]
		switch {
		case rank(s) < rank(best):
			best = s
		case rank(s) == 0 && rank(best) == 0 && s.Topology.Cluster != best.Topology.Cluster:
			return presence{}, fmt.Errorf("%s is in cluster %v, %s in %v: name one of the two", best.Name, best.Topology.Cluster, s.Name, s.Topology.Cluster)
		}
	}
	return best.presence, best.err
}

// endpoint returns the address in numbers, or "" when it is not known.
func (s *sighting) endpoint() string {
	_, port, err := net.SplitHostPort(string(s.seed))
	if err != nil || !s.ip.IsValid() {
		return ""
	}
	return net.JoinHostPort(s.ip.String(), port)
}

// counting returns the sightings of a round that count, and the names that no process answering
// there advertises: such a name may stand for several nodes. It is pure. It leaves out sightings
// with no other process behind them: this process's own answers, and silence
//
//   - at this process's own address,
//   - at a further address of a name that a process which answers there advertises,
//   - at one of a name's two addresses, one in each family, when the machine that answers at the
//     other one says that both are its own.
func counting(self Identity, own string, seen []sighting) (counted []sighting, unclaimed []transport.Address) {
	for len(seen) > 0 {
		n := 1
		for n < len(seen) && seen[n].seed == seen[0].seed {
			n++
		}
		group := seen[:n]
		seen = seen[n:]
		claimed, boots, four, six := false, map[uint64]bool{}, 0, 0
		var answers *sighting // one of the sightings that answer
		for i := range group {
			s := &group[i]
			if s.err == nil {
				boots[s.BootID] = true
				claimed = claimed || sameAddress(s.Peer, s.seed)
				answers = s
			}
			if s.ip.Is4() {
				four++
			} else if s.ip.Is6() {
				six++
			}
		}
		twin := func(s *sighting) bool {
			return four == 1 && six == 1 && len(boots) == 1 && slices.Contains(answers.Addresses, s.ip) &&
				s.ip.IsLoopback() == answers.ip.IsLoopback() // every machine has loopback addresses
		}
		if !claimed {
			unclaimed = append(unclaimed, group[0].seed)
		}
		for _, s := range group {
			silence := s.err != nil && (claimed || !s.unresolved && (twin(&s) || own != "" && own == s.endpoint()))
			if !silence && (s.err != nil || s.BootID != self.BootID) {
				counted = append(counted, s)
			}
		}
	}
	return counted, unclaimed
}

// hangUp closes the connections that were opened to find a cluster, but not those to keep.
func (m *Manager) hangUp(keep func(transport.Address) bool) {
	for a := range m.addresses.dialled {
		if !keep(a) {
			m.cfg.Transport.Forget(a)
		}
	}
	clear(m.addresses.dialled)
}

// memberAt reports whether the address is that of another member.
func (m *Manager) memberAt(a transport.Address) bool {
	t := m.newest()
	return t != nil && a != m.self.Peer && slices.ContainsFunc(t.recipients(), func(id Identity) bool { return id.Peer == a })
}

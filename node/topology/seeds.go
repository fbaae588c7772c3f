package topology

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
)

// sighting is what asking one address of a seed gave.
type sighting struct {
	seed    transport.Address // as configured
	address transport.Address // that was asked
	ip      netip.Addr        // of it; invalid: not known
	lost    bool              // the name could not be looked up: nobody was asked, and err says why
	presence
	err error // nobody answered
}

// conditions are what a founding needs beside a complete round.
type conditions struct {
	expect int               // so many fresh processes; 0: those that the seeds lead to
	shared transport.Address // a name that may stand for nodes that it does not show; empty: none
	young  []string          // unclaimed names whose addresses have changed lately
	taken  string            // another node answers at this one's address; empty: no
}

// verdict of one round over all seeds. Exactly one of its fields decides, in this order.
type survey struct {
	fatal   error      // stop
	cluster *sighting  // enter the cluster of this member
	wait    string     // for this
	cause   error      // of the wait, where there is a name for it; decides nothing
	fresh   []Identity // found a cluster of these, ascending by name
}

// assess judges one round (M9). It is pure.
func assess(self Identity, seen []sighting) survey {
	var v survey
	var silent, busy []string
	fresh := map[uint64]Identity{self.BootID: self}
	for i := range seen {
		s := &seen[i]
		switch {
		case s.err != nil:
			silent = append(silent, s.String())
		case s.Topology != nil && (s.State == StateActive || s.State == StateRebuilding || s.State == StateJoining):
			if v.cluster == nil {
				v.cluster = s
				continue
			}
			a, b := v.cluster.Topology, s.Topology
			if a.Cluster != b.Cluster && !a.Continues(b.Cluster) && !b.Continues(a.Cluster) {
				// One of the two may be on its way to the other, or be told to; this process must
				// enter neither meanwhile.
				return survey{wait: fmt.Sprintf("the seeds to be of one cluster: %s is in %v, %s in %v; name those of one", v.cluster.address, a.Cluster, s.address, b.Cluster)}
			}
			if b.Epoch > a.Epoch {
				v.cluster = s
			}
		case s.State == StateFounding:
			fresh[s.BootID] = s.Identity
		default:
			busy = append(busy, fmt.Sprintf("%s (%s)", s.address, s.State))
		}
	}
	for boot, id := range fresh {
		if id.Name == self.Name && boot != self.BootID {
			v.fatal = kv.Detail(kv.ErrAlreadyMember, "the node at %s is also named %s: every node needs a name of its own", id.Peer, id.Name)
			return v
		}
		v.fresh = append(v.fresh, id)
	}
	slices.SortFunc(v.fresh, func(a, b Identity) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(v.fresh); i++ {
		if v.fresh[i].Name == v.fresh[i-1].Name {
			busy = append(busy, fmt.Sprintf("%s and %s to get different names (both are %s)", v.fresh[i-1].Peer, v.fresh[i].Peer, v.fresh[i].Name))
		}
	}
	if len(silent) > 0 {
		slices.Sort(silent)
		busy = append([]string{"seeds that do not answer: " + strings.Join(slices.Compact(silent), ", ")}, busy...)
	}
	v.wait = strings.Join(busy, "; ")
	return v
}

// wait says what a founding by the fresh processes, which are all that the seeds lead to, still
// waits for, and the cause where there is a name for it; empty: nothing.
func (c *conditions) wait(fresh []Identity) (string, error) {
	here := strings.Join(names(fresh), ", ")
	switch {
	case c.taken != "":
		return c.taken, nil
	case len(fresh) < c.expect:
		return fmt.Sprintf("%d nodes to found a cluster, as many as are expected; here are %s", c.expect, here), nil
	case c.expect > 0: // more than half of all nodes are here: no others can found another
	case len(fresh) == 1 && c.shared != "":
		return fmt.Sprintf("another node at %s, a name that leads to this node alone", c.shared), kv.ErrLoneSeed
	case len(c.young) > 0:
		return fmt.Sprintf("the addresses of %s to stay the same for a while; here are %s", strings.Join(c.young, ", "), here), nil
	}
	return "", nil
}

func names(nodes []Identity) []string {
	var out []string
	for i := range nodes {
		out = append(out, nodes[i].Name)
	}
	return out
}

// String names a seed that does not answer.
func (s *sighting) String() string {
	switch {
	case s.lost:
		return fmt.Sprintf("%s (%s)", s.seed, cause(s.err))
	case s.seed != "" && s.address != s.seed:
		return fmt.Sprintf("%s at %s", s.seed, s.address)
	}
	return string(s.address)
}

// findSeeds founds a cluster with the seeds, or enters theirs.
func (m *Manager) findSeeds(ctx context.Context) error {
	remembered := time.Now()
	for ctx.Err() == nil {
		changed := m.changed.wait()
		bound := m.promise(nil)
		seen, conditions := m.askSeeds(ctx)
		v := assess(m.self, seen)
		if v.fatal == nil && v.cluster == nil && v.wait == "" {
			v.wait, v.cause = conditions.wait(v.fresh)
		}
		if !m.forgotten(seen) {
			remembered = time.Now()
		} else if time.Since(remembered) > m.cfg.Patience {
			return ErrForgotten
		}
		m.note(v)
		m.release(bound, seen, v)
		var err, full error
		if v.cluster != nil {
			full = m.fits(&v.cluster.presence)
		}
		switch {
		case m.newest() != nil:
			return nil // handed over meanwhile
		case v.fatal != nil:
			return v.fatal
		case full != nil:
			m.waitBecause(full, full.Error()) // the mesh may come to hold less
		case v.cluster != nil:
			if err = m.enter(ctx, v.cluster.Identity, v.cluster.Topology); errors.Is(err, kv.ErrPeerUnreachable) {
				err = nil // it may be reached once the name leads here
			}
		case v.wait != "":
			m.waitBecause(v.cause, v.wait)
		case v.fresh[0].BootID == m.self.BootID:
			err = m.found(ctx, v.fresh)
		default:
			m.waitFor("the founder, " + v.fresh[0].Name)
		}
		if err != nil {
			return err
		}
		if m.newest() != nil {
			return nil
		}
		m.pause(ctx, changed)
	}
	return ctx.Err()
}

// forgotten reports whether this process has asked a cluster for admission that no seed remembers any more: all of them answer, and
// none is a member of anything. The request may still be agreed on by somebody who is no seed, so this process must not found a cluster
// under the boot id that it asked with.
func (m *Manager) forgotten(seen []sighting) bool {
	m.mu.Lock()
	entering := m.entering
	m.mu.Unlock()
	for i := range seen {
		if seen[i].err != nil || seen[i].Topology != nil {
			return false
		}
	}
	return entering
}

// note remembers which fresh processes a complete round saw: what a founder's promise is compared with (E8).
func (m *Manager) note(v survey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.participants = nil
	if v.fatal == nil && v.cluster == nil && v.wait == "" {
		m.participants = bootIDs(v.fresh)
	}
}

func bootIDs(members []Identity) []uint64 {
	out := make([]uint64, len(members))
	for i := range members {
		out[i] = members[i].BootID
	}
	slices.Sort(out)
	return out
}

// pause waits until something changed, at most for one interval.
func (m *Manager) pause(ctx context.Context, changed <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Every)
	defer cancel()
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

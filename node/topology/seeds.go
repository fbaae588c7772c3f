package topology

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
)

// sighting is what asking one seed gave.
type sighting struct {
	address transport.Address
	presence
	err error // nobody answered
}

// verdict of one round over all seeds. Exactly one of its fields decides, in this order.
type survey struct {
	fatal   error      // stop
	cluster *sighting  // enter the cluster of this member
	wait    string     // for this
	fresh   []Identity // found a cluster of these, ascending by name
}

// assess judges one round (M9). It is pure.
func assess(self Identity, seen []sighting) survey {
	var v survey
	var silent, busy []string
	fresh := map[uint64]Identity{self.Boot: self}
	for i := range seen {
		s := &seen[i]
		switch {
		case s.err != nil:
			silent = append(silent, string(s.address))
		case s.Topology != nil && (s.State == StateActive || s.State == StateRebuilding || s.State == StateJoining):
			if v.cluster == nil {
				v.cluster = s
				continue
			}
			a, b := v.cluster.Topology, s.Topology
			if a.Cluster != b.Cluster && !a.Continues(b.Cluster) && !b.Continues(a.Cluster) {
				v.fatal = fmt.Errorf("%w: %s is in %v, %s in %v", ErrTwoClusters, v.cluster.address, a.Cluster, s.address, b.Cluster)
				return v
			}
			if b.Epoch > a.Epoch {
				v.cluster = s
			}
		case s.State == StateFounding:
			fresh[s.Boot] = s.Identity
		default:
			busy = append(busy, fmt.Sprintf("%s (%s)", s.address, s.State))
		}
	}
	for boot, id := range fresh {
		if id.Name == self.Name && boot != self.Boot {
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
		busy = append([]string{"seeds that do not answer: " + strings.Join(silent, ", ")}, busy...)
	}
	v.wait = strings.Join(busy, "; ")
	return v
}

// findSeeds founds a cluster with the seeds, or enters theirs.
func (m *Manager) findSeeds(ctx context.Context) error {
	remembered := time.Now()
	for ctx.Err() == nil {
		changed := m.changed.wait()
		bound := m.promise(nil)
		seen := m.askSeeds(ctx)
		v := assess(m.self, seen)
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
			m.waitFor(full.Error()) // the mesh may come to hold less
		case v.cluster != nil:
			err = m.enter(ctx, v.cluster.Identity, v.cluster.Topology)
		case v.wait != "":
			m.waitFor(v.wait)
		case v.fresh[0].Boot == m.self.Boot:
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

// askSeeds asks all seeds at once.
func (m *Manager) askSeeds(ctx context.Context) []sighting {
	var asked sync.WaitGroup
	seen := make([]sighting, 0, len(m.cfg.Seeds))
	for _, a := range m.cfg.Seeds {
		if a != m.self.Peer {
			seen = append(seen, sighting{address: a})
		}
	}
	for i := range seen {
		asked.Go(func() { seen[i].presence, seen[i].err = m.discover(ctx, seen[i].address) })
	}
	asked.Wait()
	return slices.DeleteFunc(seen, func(s sighting) bool { return s.err == nil && s.Boot == m.self.Boot }) // by another name
}

// note remembers which fresh processes a complete round saw: what a founder's promise is compared with (E8).
func (m *Manager) note(v survey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.participants = nil
	if v.fatal == nil && v.cluster == nil && v.wait == "" {
		m.participants = boots(v.fresh)
	}
}

func boots(members []Identity) []uint64 {
	out := make([]uint64, len(members))
	for i := range members {
		out[i] = members[i].Boot
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

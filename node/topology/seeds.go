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

// sighting is the result of asking one address of a seed.
type sighting struct {
	seed    transport.Address // as configured
	address transport.Address // the address that was asked
	ip      netip.Addr        // IP address of address; invalid: not known
	// unresolved says that the name could not be looked up: no process was asked, and err says why.
	unresolved bool
	presence
	err error // why no process answered; nil: one did
}

// conditions are what a founding needs beside a complete round.
type conditions struct {
	// expect is the number of fresh processes that found the cluster. Zero: all that the seeds lead
	// to.
	expect int
	// shared is a name that may stand for nodes that it does not show. Empty: there is none.
	shared   transport.Address
	unsteady []string // unclaimed names whose addresses have changed lately
	// taken says that another node answers at this node's address. Empty: none does.
	taken string
}

// survey is the verdict of one round over all seeds. Exactly one of its fields decides, in this
// order.
type survey struct {
	fatal   error      // stop with this error
	cluster *sighting  // enter the cluster of this member
	wait    string     // wait for this
	cause   error      // the error behind wait, where there is one; decides nothing
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
		case s.Topology != nil && (s.State == stateActive || s.State == stateRebuilding || s.State == stateJoining):
			if v.cluster == nil {
				v.cluster = s
				continue
			}
			a, b := v.cluster.Topology, s.Topology
			if a.Cluster != b.Cluster && !a.continues(b.Cluster) && !b.continues(a.Cluster) {
				// One of the two may be joining the other, or be told to. Meanwhile this process
				// must enter neither.
				return survey{wait: fmt.Sprintf("the seeds to be of one cluster: %s is in %v, %s in %v; name those of one", v.cluster.address, a.Cluster, s.address, b.Cluster)}
			}
			if b.Epoch > a.Epoch {
				v.cluster = s
			}
		case s.State == stateFounding:
			fresh[s.BootID] = s.Identity
		default:
			busy = append(busy, fmt.Sprintf("%s (%s)", s.address, s.State))
		}
	}
	// Every process needs a name of its own. A second process of this node's name ends the start;
	// two others of one name make it wait.
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
	// A silent seed may be in a cluster: nothing is founded without its answer.
	if len(silent) > 0 {
		slices.Sort(silent)
		busy = append([]string{"seeds that do not answer: " + strings.Join(slices.Compact(silent), ", ")}, busy...)
	}
	v.wait = strings.Join(busy, "; ")
	return v
}

// wait says what still keeps the fresh processes, which are all that the seeds lead to, from
// founding. It returns an empty string when nothing does. The error is the cause, where there is
// one with a name.
func (c *conditions) wait(fresh []Identity) (string, error) {
	here := strings.Join(names(fresh), ", ")
	switch {
	case c.taken != "":
		return c.taken, nil
	case len(fresh) < c.expect:
		return fmt.Sprintf("%d nodes to found a cluster, as many as are expected; here are %s", c.expect, here), nil
	case c.expect > 0: // more than half of all nodes are here: no others can found another cluster
	case len(fresh) == 1 && c.shared != "":
		return fmt.Sprintf("another node at %s, a name that leads to this node alone", c.shared), kv.ErrLoneSeed
	case len(c.unsteady) > 0:
		return fmt.Sprintf("the addresses of %s to stay the same for a while; here are %s", strings.Join(c.unsteady, ", "), here), nil
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
	case s.unresolved:
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
		} else if time.Since(remembered) > patience {
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
			return nil // a peer has sent a topology meanwhile
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

// forgotten reports whether no seed remembers the cluster that this process has asked for
// admission: all seeds answer, and none is a member of anything. A node that is no seed may still
// agree on the request. So this process must not found a cluster under the boot ID that it asked
// with.
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

// note remembers the fresh processes that a complete round saw. A founder's promise is compared
// with them (E8).
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

// pause waits until something has changed, at most for one interval.
func (m *Manager) pause(ctx context.Context, changed <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, every)
	defer cancel()
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

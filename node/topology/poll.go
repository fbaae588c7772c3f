package topology

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"viakv/api/kv"
)

// A change of size is proposed only when enough members answer a poll. What the leader remembers of
// a member may be older than its death. Without the poll, a living member could leave right after
// another one's death: the change would be agreed, and would leave a cluster without a quorum.

// polled holds the boot IDs of the processes that answered the last poll, and are not about to
// stop.
type polled map[uint64]bool

// pollTime bounds a poll. Members that are there answer within a round trip, and the asker is told
// within a second.
const pollTime = 500 * time.Millisecond

// poll asks all processes of a topology at once whether they are there.
func (m *Manager) poll(ctx context.Context, t *Topology) polled {
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	var mu sync.Mutex
	var asked sync.WaitGroup
	answered := polled{m.self.BootID: !m.stopping()}
	ask := func(id Identity) {
		if id.BootID == m.self.BootID {
			return
		}
		asked.Go(func() {
			p, err := m.identify(ctx, id)
			if err != nil || p.BootID != id.BootID || p.State == stateLeft || p.Stopping {
				return
			}
			mu.Lock()
			answered[id.BootID] = true
			mu.Unlock()
		})
	}
	for i := range t.Slots {
		ask(t.Slots[i].Identity)
	}
	if t.Joining != nil {
		ask(t.Joining.Identity)
	}
	asked.Wait()
	return answered
}

// active accepts the slots whose members serve and have answered.
func (p polled) active(s *Slot) bool { return s.active() && p[s.BootID] }

// orRebuilding accepts members that rebuild as well: they serve soon.
func (p polled) orRebuilding(s *Slot) bool { return p[s.BootID] }

// shrinkPossible returns nil when the cluster keeps its quorums without a slot. It counts only the
// members that there accepts.
func (t *Topology) shrinkPossible(name string, there func(*Slot) bool) error {
	i := t.index(name)
	if i < 0 {
		return kv.Detail(kv.ErrNoSuchNode, "%s has no slot", name)
	}
	if t.N() == 1 {
		return errLast
	}
	n := t.successor(OperationID{})
	n.remove(t, i)
	if err := n.validate(); err != nil {
		return err
	}
	return n.keepsQuorum(there)
}

// growPossible returns nil when the cluster keeps its quorums with one slot more. It counts the new
// slot and the members that there accepts.
func (t *Topology) growPossible(there func(*Slot) bool) error {
	n := t.N() + 1
	need := max(quorum(t.ReadQuorum, n), quorum(t.WriteQuorum, n), n/2+1)
	count, missing := t.count(there)
	if count+1 < need {
		return kv.Detail(kv.ErrTooFewServe, "with one member more %d of %d would have to answer, and only %d would (%s)",
			need, n, count+1, missing)
	}
	return nil
}

// keepsQuorum returns an error when too few slots of n are accepted by there, after a member was
// taken out. The slots must suffice for reads, for writes, for the next change, and for the copies
// that the sync barrier merges.
func (n *Topology) keepsQuorum(there func(*Slot) bool) error {
	need := max(n.R(), n.W(), n.N()/2+1, n.Change.Need)
	count, missing := n.count(there)
	if count >= need {
		return nil
	}
	return kv.Detail(kv.ErrTooFewServe, "without it %d of the remaining %d members would serve (%s), and %d have to",
		count, n.N(), missing, need)
}

// count returns how many slots there accepts, and names those that it does not.
func (t *Topology) count(there func(*Slot) bool) (n int, missing string) {
	var names []string
	for i := range t.Slots {
		if s := &t.Slots[i]; there(s) {
			n++
		} else {
			names = append(names, s.Name)
		}
	}
	switch len(names) {
	case 0:
		return n, "all are there"
	case 1:
		return n, names[0] + " rebuilds, stops or does not answer"
	}
	return n, fmt.Sprintf("%s rebuild, stop or do not answer", strings.Join(names, ", "))
}

package topology

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/node/transport"
)

// A change of size is proposed only when enough members answer a poll. What the leader remembers of
// a member may be older than its death. Without the poll, a living member could leave right after
// another one's death: the change would be agreed, and would leave a cluster without a quorum.

// polled holds, by boot ID, what the last poll has shown of the processes. One that is about to
// stop does not count as one that answers.
type polled map[uint64]health.Reach

// pollTime bounds a poll. Members that are there answer within a round trip, and the asker is told
// within a second.
const pollTime = 500 * time.Millisecond

// poll asks all processes of a topology at once whether they are there.
func (m *Manager) poll(ctx context.Context, t *Topology) polled {
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	var mu sync.Mutex
	var asked sync.WaitGroup
	found := polled{}
	if !m.stopping() {
		found[m.self.BootID] = health.Answers
	}
	ask := func(id Identity) {
		if id.BootID == m.self.BootID {
			return
		}
		asked.Go(func() {
			reach, stopping := m.sight(ctx, id)
			if stopping {
				reach = health.Elsewhere
			}
			mu.Lock()
			found[id.BootID] = reach
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
	return found
}

// sight asks which process is at the address of id, and returns what that shows of id's process,
// and whether that process is about to stop.
func (m *Manager) sight(ctx context.Context, id Identity) (reach health.Reach, stopping bool) {
	p, err := m.identify(ctx, id)
	switch {
	case errors.Is(err, transport.ErrNotSent) || lost(err):
		return health.NoConnection, false
	case err != nil:
		return health.Silent, false
	case p.BootID == id.BootID && p.State != stateLeft:
		return health.Answers, p.Stopping
	case p.BootID != id.BootID && p.Name == id.Name:
		return health.Restarted, false
	}
	return health.Elsewhere, false
}

// WhoAnswers asks which process is at the address of the member of that name, or of the node of
// that name that is joining. It returns what that shows of the member.
func (m *Manager) WhoAnswers(ctx context.Context, name string) health.Reach {
	t := m.newest()
	var id Identity
	switch {
	case t == nil:
		return health.Unheard
	case t.slot(name) != nil:
		id = t.slot(name).Identity
	case t.Joining != nil && t.Joining.Name == name:
		id = t.Joining.Identity
	default:
		return health.Unheard
	}
	reach, _ := m.sight(ctx, id)
	return reach
}

// has reports whether the process with this boot ID has answered.
func (p polled) has(boot uint64) bool { return p[boot] == health.Answers }

// active accepts the slots whose members serve and have answered.
func (p polled) active(s *Slot) bool { return s.active() && p.has(s.BootID) }

// orRebuilding accepts members that rebuild as well: they serve soon.
func (p polled) orRebuilding(s *Slot) bool { return p.has(s.BootID) }

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

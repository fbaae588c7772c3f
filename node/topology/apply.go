package topology

import (
	"fmt"
	"slices"
	"strings"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// remembered bounds the operations that a topology remembers. A retry comes within a request's
// deadline, and far fewer changes are made in that time.
const remembered = 64

// apply returns the successor of t that the log entry at this index makes. It is pure: all nodes
// that apply the same log hold the same topology.
//
// apply returns t itself for an operation that t has applied already (E5). An error means that the
// command has changed nothing and never will: the entry is spent.
func apply(t *Topology, index uint64, c *command) (*Topology, error) {
	if _, done := t.doneAt(c.ID); done {
		return t, nil
	}
	if c.Expect != t.Epoch {
		return nil, fmt.Errorf("%w: expected %d, is %d", errEpoch, c.Expect, t.Epoch)
	}
	n := t.successor(c.ID)
	n.LogIndex = index
	if err := n.change(t, c); err != nil {
		return nil, err
	}
	if err := n.validate(); err != nil {
		return nil, err
	}
	return n, nil
}

// doneAt returns the epoch that an operation made, if t remembers the operation.
func (t *Topology) doneAt(id OperationID) (version.Epoch, bool) {
	for i := range t.Applied {
		if t.Applied[i].ID == id {
			return t.Applied[i].Epoch, true
		}
	}
	return 0, false
}

// successor returns a copy of t with the next epoch. It clones everything that change may write.
func (t *Topology) successor(id OperationID) *Topology {
	n := *t
	n.Epoch++
	n.Prev = t.predecessor()
	n.Slots = slices.Clone(t.Slots)
	first := max(0, len(t.Applied)+1-remembered)
	n.Applied = append(slices.Clone(t.Applied[first:]), Done{id, n.Epoch})
	return &n
}

// change carries out the command on n, a successor of t.
func (n *Topology) change(t *Topology, c *command) error {
	switch c.Kind {
	case Vacate:
		return n.vacate(c)
	case Activate:
		return n.activate(t, c)
	case Admit:
		return n.admit(c)
	case Abandon:
		return n.abandon(c)
	case Grow:
		return n.grow(t, c)
	case Shrink:
		return n.shrink(t, c)
	case Settle:
		return n.settle(t, c)
	case Clear:
		if t.Change != nil {
			return errUnsettled
		}
		n.Generation++
		n.Cleared = n.Epoch
		return nil
	case Purge:
		return n.purge(t, c)
	case Depart:
		return n.depart(t)
	case Stay:
		n.Departing = false
		return nil
	case SetReads:
		if c.Reads == t.Reads {
			return fmt.Errorf("topology: reads are answered by %s already", t.Reads)
		}
		n.Reads = c.Reads
		return nil
	}
	return fmt.Errorf("topology: unknown command %q: is a newer version of the software in the cluster?", c.Kind)
}

func (n *Topology) vacate(c *command) error {
	if c.Node == nil {
		return fmt.Errorf("topology: %s without a node", c.Kind)
	}
	s := n.slot(c.Node.Name)
	if s == nil {
		return kv.Detail(kv.ErrNoSuchNode, "%s has no slot", c.Node.Name)
	}
	if s.BootID == c.Node.BootID {
		return kv.Detail(kv.ErrAlreadyMember, "%s already holds its slot", c.Node.Name)
	}
	s.Identity = *c.Node
	s.Incarnation, s.Pending, s.Since = 0, version.Incarnation(n.LogIndex), n.Epoch
	return nil
}

func (n *Topology) activate(t *Topology, c *command) error {
	s := n.slot(c.Name)
	switch {
	case s == nil:
		return kv.Detail(kv.ErrNoSuchNode, "%s has no slot", c.Name)
	case s.active() || s.Pending != c.Incarnation || c.At == nil:
		return fmt.Errorf("topology: incarnation %d is not rebuilding at %s", c.Incarnation, c.Name)
	case c.At.Epoch < s.Since || !t.holds(c.At, c.Name):
		return ErrStartOver
	}
	s.Incarnation, s.Pending = s.Pending, 0
	return nil
}

// holds reports whether copies made on this basis still contain all that a member needs (M2, G3). A
// slot that was vacated since may have been a source of the copies. The sources are not recorded,
// so any vacated slot but the copier's own makes the basis void.
func (t *Topology) holds(at *basis, copier string) bool {
	if at.Epoch > t.Epoch || at.Epoch < t.Resized || at.Generation != t.Generation || at.Purge != t.Purge {
		return false
	}
	for i := range t.Slots {
		if s := &t.Slots[i]; s.Name != copier && s.Since > at.Epoch {
			return false
		}
	}
	return true
}

func (n *Topology) admit(c *command) error {
	switch {
	case c.Node == nil:
		return fmt.Errorf("topology: %s without a node", c.Kind)
	case n.slot(c.Node.Name) != nil:
		return kv.Detail(kv.ErrAlreadyMember, "%s has a slot", c.Node.Name)
	case n.Departing:
		return errDeparting
	case n.Joining != nil || n.Change != nil:
		return errUnsettled
	}
	if err := n.validateQuorums(n.N() + 1); err != nil {
		return err
	}
	n.Joining = &Candidate{*c.Node, version.Incarnation(n.LogIndex), n.Epoch}
	return nil
}

// depart closes a cluster of one to others. Of two nodes that join each other at once, only one may
// leave its cluster for the other's. In each cluster one of two entries, the departure and the
// admission of the other node, comes first, and the second has no effect.
func (n *Topology) depart(t *Topology) error {
	switch {
	case t.Joining != nil:
		return kv.Detail(kv.ErrAlreadyMember, "%s is joining this node", t.Joining.Name)
	case t.N() != 1 || t.Change != nil:
		return kv.Detail(kv.ErrInMesh, "the node is one of %d members of cluster %v", t.N(), t.Cluster)
	}
	n.Departing = true
	return nil
}

func (n *Topology) candidate(c *command) (*Candidate, error) {
	if j := n.Joining; j != nil && j.Name == c.Name && j.Pending == c.Incarnation {
		return j, nil
	}
	return nil, fmt.Errorf("topology: incarnation %d of %s is not joining", c.Incarnation, c.Name)
}

func (n *Topology) abandon(c *command) error {
	if _, err := n.candidate(c); err != nil {
		return err
	}
	n.Joining = nil
	return nil
}

func (n *Topology) grow(t *Topology, c *command) error {
	j, err := n.candidate(c)
	switch {
	case err != nil:
		return err
	case t.Change != nil:
		return errUnsettled
	case t.vacancies() > 0:
		return errVacant
	case c.At == nil || c.At.Epoch < j.Since || !t.holds(c.At, j.Name):
		return ErrStartOver
	}
	n.Slots = append(n.Slots, Slot{Identity: j.Identity, Incarnation: j.Pending})
	slices.SortFunc(n.Slots, func(a, b Slot) int { return strings.Compare(a.Name, b.Name) })
	n.Joining, n.Resized = nil, n.Epoch
	n.Change = &SizeChange{
		Epoch: n.Epoch, Joined: j.Name,
		Owe: []string{j.Name}, From: t.Names(), Need: t.N() - t.W() + 1,
	}
	return nil
}

// shrink takes a slot out. The leaver may have held the only reachable copy of a write, so the
// members that stay merge their copies. Each write that the last epoch acknowledged is on W of its
// N slots, so on at least one of any N-W+1, the leaver's own copy aside (M6).
//
// A size change that is not settled does not stand in the way when only the leaver's own barrier is
// missing: every other slot then holds whatever the epoch before acknowledged. Without that
// exception a node that joined and died for good could never be removed.
func (n *Topology) shrink(t *Topology, c *command) error {
	i := t.index(c.Name)
	switch {
	case i < 0:
		return kv.Detail(kv.ErrNoSuchNode, "%s has no slot", c.Name)
	case t.N() == 1:
		return errLast
	case !c.Force && !t.barriersDone(c.Barriers, c.Name):
		return errUnsettled
	}
	n.remove(t, i)
	if c.Force {
		n.Change.Need = min(n.Change.Need, len(n.Change.From))
		n.Prev.Need = min(n.Prev.Need, c.Reached) // the operator vouches for the slots that do not answer
		return nil
	}
	return n.keepsQuorum((*Slot).active)
}

// remove takes slot i of t out of n, and notes which slots owe the sync barrier.
func (n *Topology) remove(t *Topology, i int) {
	n.Slots = slices.Delete(n.Slots, i, i+1)
	var active []string
	for k := range n.Slots {
		if n.Slots[k].active() {
			active = append(active, n.Slots[k].Name)
		}
	}
	n.Resized = n.Epoch
	n.Change = &SizeChange{
		Epoch: n.Epoch, Left: t.Slots[i].Name,
		Owe: active, From: active, Need: t.N() - t.W() + 1,
	}
}

func (n *Topology) settle(t *Topology, c *command) error {
	switch {
	case t.Change == nil:
		return fmt.Errorf("topology: nothing to settle")
	case !t.barriersDone(c.Barriers, ""):
		return errUnsettled
	}
	n.Change = nil
	return nil
}

// barriersDone reports whether every slot that owes the barrier has run it, with the incarnation
// that it has now. The slot named by except need not have run it.
func (t *Topology) barriersDone(facts []fact, except string) bool {
	if t.Change == nil {
		return true
	}
	for _, name := range t.Change.Owe {
		s := t.slot(name)
		if name != except && (s == nil || !s.active() || !slices.Contains(facts, fact{name, s.Incarnation})) {
			return false
		}
	}
	return true
}

func (n *Topology) purge(t *Topology, c *command) error {
	switch {
	// A purge during a join would make the joiner start over, again and again.
	case t.Change != nil || t.Joining != nil:
		return errUnsettled
	case t.vacancies() > 0:
		return errVacant
	}
	n.Purge++
	n.PurgeList = c.List
	return nil
}

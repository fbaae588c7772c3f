package topology

import (
	"errors"
	"fmt"

	"viakv/api/kv"
	"viakv/quorum/version/rule"
)

// decide chooses the leader's next step, in this order. First come answers that are due. Then the
// voters, which must follow the topology before anything else builds on it (M10). The remaining
// steps need the present epoch to be sealed (E4): changes that need not wait for settling (Vacate,
// Activate), then Settle and Abandon, then the waiting changes in the order of their arrival.
func decide(s *scene) move {
	for _, a := range s.asks {
		if r := s.due(a); r != nil {
			return move{answer: r, ask: a}
		}
	}
	if mv := s.reconcile(s.leaving()); mv.change.bootID != 0 || mv.transfer != 0 {
		return mv
	}
	if !s.sealed() {
		return move{}
	}
	for _, urgent := range []bool{true, false} {
		for _, a := range s.asks {
			if (a.Purpose == toEnter && s.topology.slot(a.Node.Name) != nil || a.Purpose == toActivate) == urgent {
				if mv := s.take(a); mv.command != nil || mv.answer != nil || mv.poll {
					mv.ask = a
					return mv
				}
			}
		}
		if mv := s.unasked(); urgent && mv.command != nil {
			return mv
		}
	}
	return move{}
}

// due returns the answer to a request that is decided or out of time, and otherwise nil.
func (s *scene) due(a *ask) *response {
	if e, done := s.topology.doneAt(a.ID); done {
		waits := a.Purpose == toLeave || a.Purpose == toSetReads || a.Purpose == toClear && !rule.Broken(rule.ClearSealed)
		if waits && e == s.topology.Epoch && !s.sealed() {
			return nil // M8: the answer waits until nothing older can complete
		}
		return &response{Code: codeOK, Epoch: e}
	}
	if s.now.After(a.deadline) {
		r := a.undecided()
		r.Detail = s.obstacle()
		return &r
	}
	if a.Purpose == toEnter && s.topology.includes(a.Node.BootID) {
		return &response{Code: codeOK, Epoch: s.topology.Epoch}
	}
	return nil
}

// obstacle says what the next change waits for.
func (s *scene) obstacle() string {
	t := s.topology
	switch {
	case !s.sealed():
		return fmt.Sprintf("epoch %d waits until enough members of the one before have adopted it", t.Epoch)
	case t.Change != nil:
		return fmt.Sprintf("the last size change waits for the sync of %v", t.Change.Owe)
	case t.Joining != nil:
		return t.Joining.Name + " is joining"
	case t.vacancies() > 0:
		return "a member is rebuilding"
	case s.notVoting("") != "":
		return s.notVoting("") + " is not heard in the consensus group yet; let it leave first if it is gone"
	}
	return "other changes came first"
}

// leaver returns the slot that leaves next, and the request for it, once nothing else stands in its
// way. It returns nil when no slot can leave now.
func (s *scene) leaver() (*Slot, *ask) {
	if !s.sealed() {
		return nil, nil
	}
	for _, a := range s.asks {
		if a.Purpose == toLeave && s.leaveReady(a) == nil {
			return s.topology.slot(a.Name), a
		}
	}
	return nil, nil
}

// othersReached counts the slots that serve and answer, without this leader's own.
func (s *scene) othersReached() int {
	n := 0
	for i := range s.topology.Slots {
		if o := &s.topology.Slots[i]; o.BootID != s.self && o.active() && s.reachable(o.BootID) {
			n++
		}
	}
	return n
}

// unasked returns the step that the leader takes without a request.
func (s *scene) unasked() move {
	t := s.topology
	if t.Change != nil && t.barriersDone(s.barriers, "") {
		return move{command: &command{Kind: Settle, Expect: t.Epoch, Barriers: s.barriers}}
	}
	if j := t.Joining; j != nil && s.absent[j.BootID] {
		return move{command: &command{Kind: Abandon, Expect: t.Epoch, Name: j.Name, Incarnation: j.Pending}}
	}
	return move{}
}

// take returns the next step of a request. It is empty while the request has to wait.
func (s *scene) take(a *ask) move {
	t := s.topology
	c := &command{ID: a.ID, Expect: t.Epoch, Name: a.Name, Node: a.Node, Incarnation: a.Incarnation, At: a.At, List: a.List, Force: a.Force}
	switch a.Purpose {
	case toEnter:
		return s.takeEnter(a, c)
	case toActivate:
		slot := t.slot(a.Name)
		if slot != nil && slot.Pending == a.Incarnation && !s.voter(slot.BootID) && t.holds(a.At, a.Name) {
			return move{} // M10: it votes before it counts
		}
		c.Kind = Activate
	case toGrow:
		early := t.Joining != nil && !s.odd() && !s.voter(t.Joining.BootID)
		if (early || s.notVoting("") != "" || t.Change != nil || t.vacancies() > 0) && t.holds(a.At, a.Name) {
			return move{}
		}
		switch {
		case !s.fresh(a):
			return move{poll: true}
		case t.Joining != nil && (!a.answered.has(t.Joining.BootID) || t.growPossible(a.answered.active) != nil):
			return move{} // until enough members answer
		}
		c.Kind = Grow
	case toLeave:
		return s.takeLeave(a, c)
	case toClear:
		if t.Change != nil {
			return move{}
		}
		c.Kind = Clear
	case toPurge:
		// G1: all members reported the list at one epoch. It must not be purged at any other.
		if a.Epoch != t.Epoch {
			return refuse(errEpoch)
		}
		c.Kind = Purge
	case toDepart:
		c.Kind = Depart
	case toStay:
		c.Kind = Stay
	case toSetReads:
		if a.Reads == t.Reads {
			return move{answer: &response{Code: codeOK, Epoch: t.Epoch}}
		}
		c.Kind, c.Reads = SetReads, a.Reads
	case toWithdraw:
		switch j := t.Joining; {
		case j != nil && j.BootID == a.ID.BootID:
			c.Kind, c.Name, c.Incarnation = Abandon, j.Name, j.Pending
		case t.slot(a.Name) != nil && t.slot(a.Name).BootID == a.ID.BootID:
			return refuse(kv.Detail(kv.ErrAlreadyMember, "%s is a member", a.Name))
		default:
			return move{answer: &response{Code: codeOK}}
		}
	default:
		return move{answer: &response{Code: codeRefused, Detail: fmt.Sprintf("the leader does not know how to %q: upgrade it", a.Purpose)}}
	}
	return preview(t, c)
}

// preview proposes a command that would take effect. It refuses any other without a log entry.
func preview(t *Topology, c *command) move {
	if _, err := apply(t, t.LogIndex+1, c); err != nil {
		return refuse(err)
	}
	return move{command: c}
}

// refuse answers a request with an error.
func refuse(err error) move {
	r := refusal(err)
	return move{answer: &r}
}

func (s *scene) takeEnter(a *ask, c *command) move {
	t := s.topology
	if slot := t.slot(a.Node.Name); slot != nil {
		switch {
		// Another process has taken the slot since. The next try looks whether that one is there.
		case slot.BootID != a.replaces:
			return move{answer: &response{Code: codeAgain, Detail: "the slot has changed hands"}}
		case s.voter(slot.BootID):
			return move{} // M10: its vote ends first
		}
		c.Kind = Vacate
		return preview(t, c)
	}
	if j := t.Joining; j != nil {
		if j.Name == a.Node.Name && j.BootID == a.replaces {
			return move{command: &command{Kind: Abandon, Expect: t.Epoch, Name: j.Name, Incarnation: j.Pending}}
		}
		return move{}
	}
	if t.Change != nil {
		return move{}
	}
	if !s.fresh(a) {
		return move{poll: true}
	}
	if err := t.growPossible(a.answered.orRebuilding); err != nil {
		return refuse(err)
	}
	c.Kind = Admit
	return preview(t, c)
}

// errWait says that nothing speaks against the change, but that it cannot be made yet.
var errWait = errors.New("topology: not yet")

// errPoll says that the leader has to ask the members first whether they are there.
var errPoll = errors.New("topology: not before the members are asked")

// leaveReady returns nil when the slot may be taken out now.
func (s *scene) leaveReady(a *ask) error {
	t := s.topology
	slot := t.slot(a.Name)
	switch {
	case slot == nil:
		return kv.Detail(kv.ErrNoSuchNode, "%s has no slot", a.Name)
	case a.Force && slot.BootID == s.self && s.othersReached() == 0:
		return kv.Detail(kv.ErrQuorumLoss, "no other member could go on after %s; ask one that stays", a.Name)
	case a.Force:
		return nil
	case !t.barriersDone(s.barriers, a.Name) || s.notVoting(a.Name) != "":
		return errWait
	}
	// A rebuild under way ends soon, and then there is one more copy. A process that has not been
	// heard yet may be rebuilding.
	for i := range t.Slots {
		if o := &t.Slots[i]; o.Name != a.Name && !o.active() && !s.absent[o.BootID] {
			return errWait
		}
	}
	// Once the leaver's vote has ended the leave is under way, and takeLeave repeats the poll.
	if a.answered == nil || s.voter(slot.BootID) && !s.fresh(a) {
		return errPoll
	}
	return t.shrinkPossible(a.Name, a.answered.active)
}

func (s *scene) takeLeave(a *ask, c *command) move {
	switch err := s.leaveReady(a); {
	case errors.Is(err, errWait):
		return move{}
	case errors.Is(err, errPoll):
		return move{poll: true}
	case err != nil:
		return refuse(err)
	}
	slot := s.topology.slot(a.Name)
	if s.voter(slot.BootID) && s.topology.N() > 1 && (!s.odd() || slot.BootID == s.self) {
		return move{} // its vote ends first, or its lead
	}
	if j := s.topology.Joining; j != nil && s.voter(j.BootID) {
		return move{} // the vote of an early joiner ends first, too
	}
	if !a.Force && !s.fresh(a) {
		return move{poll: true} // a member may have died since the last poll
	}
	c.Kind, c.Barriers, c.Reached = Shrink, s.barriers, 1+s.othersReached()
	return preview(s.topology, c)
}

package topology

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"viakv/api/health"

	"go.etcd.io/raft/v3/raftpb"
	"pgregory.net/rapid"
)

// council is a model of a cluster and its leader. It carries out what decide wants, and checks M11
// for the voters after each step.
type council struct {
	top    *Topology
	voters []uint64
	learns []uint64
	leads  uint64
	alive  map[uint64]bool
	asks   []*ask
	boots  uint64
	names  int
}

func newCouncil(t testing.TB, n int) *council {
	c := &council{alive: map[uint64]bool{}, leads: 1}
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("n%d", i))
	}
	c.top, c.names = founded(t, names...), n
	for range c.top.Slots {
		c.boots++
		c.voters = append(c.voters, c.boots)
		c.alive[c.boots] = true
	}
	return c
}

// boot starts a new process and returns its boot ID.
func (c *council) boot() uint64 {
	c.boots++
	c.alive[c.boots] = true
	return c.boots
}

// ask queues a request under a new operation ID.
func (c *council) ask(a *ask) {
	a.ID = OperationID{c.boots, uint64(len(c.top.Applied)) + 100*c.top.LogIndex + uint64(len(c.asks))}
	c.asks = append(c.asks, a)
}

// asked reports whether a request of this purpose is queued.
func (c *council) asked(p purpose) bool {
	return slices.ContainsFunc(c.asks, func(a *ask) bool { return a.Purpose == p })
}

// scene returns what the leader sees, which is the true state of the council.
func (c *council) scene() *scene {
	s := sceneOf(c.top)
	s.self, s.voters, s.learners = c.leads, slices.Clone(c.voters), slices.Clone(c.learns)
	for _, id := range c.top.recipients() {
		b := id.BootID
		s.caughtUp[b], s.absent[b], s.reports.gone[b] = c.alive[b], !c.alive[b], !c.alive[b]
		if !c.alive[b] {
			delete(s.heard, b)
			delete(s.reports.quiet, b)
		}
	}
	if c.top.Change != nil {
		for _, name := range c.top.Change.Owe {
			if slot := c.top.slot(name); slot != nil && slot.active() && c.alive[slot.BootID] {
				s.barriers = append(s.barriers, fact{name, slot.Incarnation})
			}
		}
	}
	for _, a := range c.asks {
		a.deadline, a.polledAt = s.now.Add(time.Hour), s.now
		if a.answered != nil {
			a.answered = c.polled()
		}
	}
	s.asks = slices.Clone(c.asks)
	return s
}

// polled returns what a poll shows.
func (c *council) polled() polled {
	found := polled{}
	for boot, alive := range c.alive {
		if alive {
			found[boot] = health.Answers
		}
	}
	return found
}

// step carries out the leader's next step, and reports whether there is one.
func (c *council) step() bool {
	mv := decide(c.scene())
	switch b := mv.change.bootID; {
	case mv.answer != nil:
		c.asks = slices.DeleteFunc(c.asks, func(a *ask) bool { return a == mv.ask })
	case mv.poll:
		mv.ask.answered = c.polled()
	case mv.transfer != 0:
		c.leads = mv.transfer
	case b != 0:
		is := func(o uint64) bool { return o == b }
		c.voters, c.learns = slices.DeleteFunc(c.voters, is), slices.DeleteFunc(c.learns, is)
		switch mv.change.kind {
		case raftpb.ConfChangeAddNode:
			c.voters = append(c.voters, b)
		case raftpb.ConfChangeAddLearnerNode:
			c.learns = append(c.learns, b)
		}
	case mv.command != nil:
		if mv.ask == nil {
			mv.command.ID = OperationID{c.leads, c.top.LogIndex}
		}
		next, err := apply(c.top, c.top.LogIndex+1, mv.command)
		if err != nil {
			panic(fmt.Sprintf("%s: %v", mv.command.Kind, err))
		}
		c.top = next
	default:
		return false
	}
	return true
}

// bears returns how many more members may die. Of N members as many may be down as leave a
// majority, and some are down already.
func (c *council) bears() int {
	bears := (c.top.N() - 1) / 2
	for i := range c.top.Slots {
		if o := &c.top.Slots[i]; !o.active() || !c.alive[o.BootID] {
			bears--
		}
	}
	return bears
}

// check fails the test when the voters could lose their majority. It assumes that as many more
// members die as bears says, and that all voters that are not members die, the joiner too.
func (c *council) check(t *rapid.T) {
	bears, left := c.bears(), 0
	if bears < 0 {
		return
	}
	for i := range c.top.Slots {
		if o := &c.top.Slots[i]; o.active() && c.alive[o.BootID] && slices.Contains(c.voters, o.BootID) {
			left++
		}
	}
	if need := len(c.voters)/2 + 1; left-bears < need {
		t.Fatalf("of %d voters %v %d members are left after %d more die, and %d are needed: %s",
			len(c.voters), c.voters, left-bears, bears, need, c.top.encode())
	}
}

// elect makes a live voter the leader when the leader has died or votes no more.
func (c *council) elect() {
	if !c.alive[c.leads] || !slices.Contains(c.voters, c.leads) {
		c.leads = c.voters[slices.IndexFunc(c.voters, func(b uint64) bool { return c.alive[b] })]
	}
}

// copied makes the joiner and the rebuilding processes ask to count as members, as they do once
// they have copied.
func (c *council) copied() {
	if j := c.top.Joining; j != nil && c.alive[j.BootID] && !c.asked(toGrow) {
		c.ask(&ask{request: request{Purpose: toGrow, Name: j.Name, Incarnation: j.Pending, At: c.top.basis()}})
	}
	for i := range c.top.Slots {
		o := &c.top.Slots[i]
		if o.Pending != 0 && c.alive[o.BootID] && !slices.ContainsFunc(c.asks, func(a *ask) bool { return a.Name == o.Name }) {
			c.ask(&ask{request: request{Purpose: toActivate, Name: o.Name, Incarnation: o.Pending, At: c.top.basis()}})
		}
	}
}

// settle takes steps without further faults until nothing is left to do. It fails the test when
// something still waits then.
func (c *council) settle(t *rapid.T) {
	for range 1000 {
		if !c.step() {
			before := len(c.asks)
			c.copied()
			for i := range c.top.Slots {
				if s := &c.top.Slots[i]; !c.alive[s.BootID] {
					c.enter(s)
				}
			}
			if len(c.asks) == before {
				break
			}
		}
		c.check(t)
	}
	if len(c.asks) > 0 || c.top.Joining != nil || c.top.Change != nil || c.top.vacancies() > 0 || len(c.voters) != c.top.N() {
		t.Fatalf("stands still with voters %v, learners %v, %d requests, the first %+v: %s",
			c.voters, c.learns, len(c.asks), c.asks, c.top.encode())
	}
}

// enter makes a new process ask for the slot of one that died, unless such a request is queued.
func (c *council) enter(s *Slot) {
	if slices.ContainsFunc(c.asks, func(a *ask) bool { return a.replaces == s.BootID }) {
		return
	}
	c.ask(&ask{request: request{Purpose: toEnter, Node: identity(s.Name, c.boot())}, replaces: s.BootID})
}

// M11: the voters bear as many deaths as the members do, and the death of a joiner besides. This
// holds through joins, leaves, crashes, restarts and forced removals in any order. And no request
// waits for ever.
func TestVotersBearWhatMembersBear(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCouncil(t, rapid.IntRange(1, 5).Draw(rt, "n"))
		slot := func(rt *rapid.T, alive bool) *Slot {
			s := &c.top.Slots[rapid.IntRange(0, c.top.N()-1).Draw(rt, "slot")]
			if c.alive[s.BootID] != alive {
				rt.Skip("not this one")
			}
			return s
		}
		rt.Repeat(map[string]func(*rapid.T){
			"": c.check,
			"decide": func(rt *rapid.T) {
				if !c.step() {
					rt.Skip("nothing to do")
				}
			},
			"copied": func(*rapid.T) { c.copied() },
			"join": func(rt *rapid.T) {
				if c.asked(toEnter) || c.top.Joining != nil || c.top.N() > 6 {
					rt.Skip("another one joins")
				}
				c.names++
				c.ask(&ask{request: request{Purpose: toEnter, Node: identity(fmt.Sprintf("n%d", c.names), c.boot())}})
			},
			"leave": func(rt *rapid.T) {
				if c.asked(toLeave) || c.top.N() == 1 {
					rt.Skip("another one leaves")
				}
				c.ask(&ask{request: request{Purpose: toLeave, Name: slot(rt, true).Name}})
			},
			"crash": func(rt *rapid.T) {
				s := slot(rt, true)
				if c.bears() < 1 || !s.active() {
					rt.Skip("too many are down")
				}
				c.alive[s.BootID] = false
				c.elect()
			},
			"restart": func(rt *rapid.T) { c.enter(slot(rt, false)) },
			"leave of one that is dead": func(rt *rapid.T) {
				if s := slot(rt, false); !c.asked(toLeave) {
					c.ask(&ask{request: request{Purpose: toLeave, Name: s.Name, Force: rapid.Bool().Draw(rt, "force")}})
				}
			},
			"the joiner dies": func(rt *rapid.T) {
				if c.top.Joining == nil || !c.alive[c.top.Joining.BootID] {
					rt.Skip("nobody joins")
				}
				c.alive[c.top.Joining.BootID] = false
				c.elect()
			},
		})
		c.settle(rt)
	})
}

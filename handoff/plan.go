package handoff

import (
	"slices"
	"time"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// plan is the state of one rebuild: from which members each partition was merged, and what to do
// next. It is a value that is stepped: it has no goroutines, no clock and no I/O.
//
// A partition is copied once, from the first member in its preference order that answers. Then it
// is compared with others until it has been merged from need distinct members (H2). A source that
// fails rests for a while, longer each time. Its partitions go to the next members in order.
type plan struct {
	basis   Basis
	self    version.Incarnation
	need    int
	round   int // counts the rounds: a rebuild that starts over begins the next
	sources []source
	parts   [keyspace.Partitions]part
}

type source struct {
	*replica.Member
	busy     int
	failures int
	rest     time.Time // the source is not asked before
}

type part struct {
	busy   bool
	copied bool // copied in this or an earlier round; later tasks only compare
	from   []version.Incarnation
	order  []*replica.Member // the active members in order of preference
}

// task is one step of a rebuild: merge a partition from a member.
type task struct {
	round     int
	partition keyspace.Partition
	from      *replica.Member
	copy      bool // copy all of it; otherwise merge only what differs
}

const (
	// tasksPerSource is how many tasks a source has at once: one uses the network while the other
	// stores.
	tasksPerSource = 2
	firstRest      = 100 * time.Millisecond
	longestRest    = 2 * time.Second
)

func newPlan(v *replica.View) *plan {
	p := &plan{}
	p.begin(v)
	return p
}

// begin starts a round at a view.
func (p *plan) begin(v *replica.View) {
	p.round++
	p.basis, p.self, p.need = basisOf(v), v.Me().Holder(), v.Need
	p.sources = nil
	for i := range p.parts {
		p.parts[i].busy, p.parts[i].from = false, nil
	}
	p.adopt(v)
}

// follow goes on at a later view. It returns false when the basis is gone and the plan had to start
// over (H3). Tasks under way at the former view are expected to fail.
func (p *plan) follow(v *replica.View) bool {
	if v.Generation != p.basis.Generation || v.Purge != p.basis.Purge || v.Resized > p.basis.Epoch ||
		v.Me().Holder() != p.self || v.Need != p.need || p.lost(v) {
		p.begin(v)
		return false
	}
	p.adopt(v)
	return true
}

// lost reports whether another member lost its memory after the basis. A node that was admitted
// meanwhile has lost nothing.
func (p *plan) lost(v *replica.View) bool {
	for m := range v.Others() {
		source := slices.ContainsFunc(p.sources, func(s source) bool { return s.Name == m.Name })
		if m.Since > p.basis.Epoch && (source || m.Active()) {
			return true
		}
	}
	return false
}

// adopt takes over the active members and the order of preference.
func (p *plan) adopt(v *replica.View) {
	old := p.sources
	p.sources = nil
	for m := range v.Others() {
		if !m.Active() {
			continue
		}
		s := source{Member: m}
		for _, o := range old {
			if o.Holder() == m.Holder() {
				s.busy, s.failures, s.rest = o.busy, o.failures, o.rest
			}
		}
		p.sources = append(p.sources, s)
	}
	for i := range p.parts {
		p.parts[i].order = preference(v, keyspace.Partition(i))
	}
}

// short returns how many active members are missing for the number of copies to be merged. When it
// is not zero, data may be lost, and only the operator or the return of members can help (M3).
func (p *plan) short() int { return max(0, p.need-len(p.sources)) }

// done reports whether every partition has been merged from enough members.
func (p *plan) done() bool {
	for i := range p.parts {
		if len(p.parts[i].from) < p.need {
			return false
		}
	}
	return true
}

// next returns a task to start now. When there is none, wait is the time after which one may be
// possible before any task ends. A zero wait means that a task must end first, or a view appear.
func (p *plan) next(now time.Time) (t task, ok bool, wait time.Duration) {
	if p.short() > 0 {
		return task{}, false, 0
	}
	// First, give each partition to its preferred member, so that all members work. Then use any
	// member in order.
	for _, any := range []bool{false, true} {
		for i := range p.parts {
			c := &p.parts[i]
			if c.busy || len(c.from) >= p.need {
				continue
			}
			for _, m := range c.order {
				s := p.source(m.Holder())
				if s == nil || slices.Contains(c.from, m.Holder()) || now.Before(s.rest) {
					continue
				}
				if s.busy < tasksPerSource {
					s.busy++
					c.busy = true
					return task{p.round, keyspace.Partition(i), s.Member, !c.copied}, true, 0
				}
				if !any {
					break
				}
			}
		}
	}
	for i := range p.sources {
		if rest := p.sources[i].rest.Sub(now); rest > 0 && (wait == 0 || rest < wait) {
			wait = rest
		}
	}
	return task{}, false, wait
}

// end takes the outcome of a task. The source is to blame for a failure, unless the epoch has
// changed.
func (p *plan) end(t task, err error, moved bool, now time.Time) {
	if t.round != p.round {
		return
	}
	s := p.source(t.from.Holder())
	if s != nil {
		s.busy--
	}
	c := &p.parts[t.partition]
	c.busy = false
	switch {
	case err == nil:
		c.copied = true
		c.from = append(c.from, t.from.Holder())
		if s != nil {
			s.failures = 0
		}
	case !moved && s != nil && !now.Before(s.rest): // of tasks that fail together only the first counts
		s.rest = now.Add(min(longestRest, firstRest<<min(s.failures, 8)))
		s.failures++
	}
}

func (p *plan) source(i version.Incarnation) *source {
	for k := range p.sources {
		if p.sources[k].Holder() == i {
			return &p.sources[k]
		}
	}
	return nil
}

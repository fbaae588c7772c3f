package topology

import (
	"slices"
	"testing"
	"time"

	"viakv/quorum/version"
)

// within fails the test unless d is at least low, and above it by no more than slack.
func (w *world) within(what string, d, low, slack time.Duration) {
	w.Helper()
	if d < low || d > low+slack {
		w.Errorf("%s after %v, want %v and %v more at most", what, d, low, slack)
	}
}

// clearTime makes a process clear, and returns how long the answer took.
func (w *world) clearTime(p *process) time.Duration {
	w.Helper()
	began := time.Now()
	if _, err := p.m.Clear(w.ctx(20 * time.Second)); err != nil {
		w.Fatal(err)
	}
	return time.Since(began)
}

// L10: a member that has given leases to members who may be below an epoch does not count towards
// its seal until these leases are over. So a clear is answered that late, and nothing follows it
// before.
func TestAMemberThatIsNotQuietDelaysSealing(t *testing.T) {
	const longest = 30 * time.Second
	for _, c := range []struct {
		name         string
		leader, b, c time.Duration // how long the leases last that they have given
		want         time.Duration
	}{
		{"one of three is not quiet", 0, 0, longest, 0},
		{"a short lease", 0, longest, 40 * time.Millisecond, 40 * time.Millisecond},
		{"a lease that is longer than an update waits", 0, longest, 2 * time.Second, 2 * time.Second},
		{"the leader is not quiet", 60 * time.Millisecond, longest, 0, 60 * time.Millisecond},
		{"the others are", longest, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(w *world) {
				leader, b, third := w.ledTrio()
				w.leads(leader)
				e := leader.m.current().Epoch
				leader.give(e, c.leader)
				b.give(e, c.b)
				third.give(e, c.c)
				// The slack is for the messages, and for a question that the answer ends in
				// between.
				slack := 10*time.Millisecond + c.want/10
				w.within("the clear was answered", w.clearTime(leader), c.want, slack)
			})
		})
	}
}

// A holder that has asked anew at the new epoch has left the old one. So its lease delays nothing.
func TestAHolderThatAsksAnewDelaysNothing(t *testing.T) {
	simulate(t, func(w *world) {
		leader, b, c := w.ledTrio()
		w.leads(leader)
		e := leader.m.current().Epoch
		for _, p := range []*process{leader, b, c} {
			p.give(e, 500*time.Millisecond)
		}
		began, answered := time.Now(), w.clearAt(leader)
		w.until("all are at the new epoch", time.Second, func() bool {
			return !slices.ContainsFunc([]*process{leader, b, c}, func(p *process) bool { return p.m.current().Epoch == e })
		})
		time.Sleep(20 * time.Millisecond)
		select {
		case err := <-answered:
			t.Fatalf("the clear was answered before anybody is quiet: %v", err)
		default:
		}
		leader.renew(e + 1)
		b.renew(e + 1)
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
		w.within("the clear was answered", time.Since(began), 20*time.Millisecond, 30*time.Millisecond)
	})
}

// A member that is not quiet has adopted the epoch all the same. Who waits for that alone does not
// wait for leases.
func TestAdoptionIsSeenBeforeAMemberIsQuiet(t *testing.T) {
	simulate(t, func(w *world) {
		leader, b, c := w.ledTrio()
		w.leads(leader)
		c.give(leader.m.current().Epoch, time.Minute)
		w.clearTime(leader)
		for _, p := range []*process{leader, b} {
			began := time.Now()
			if err := p.m.UpdatePeer(w.ctx(time.Second), c.id.Peer); err != nil {
				t.Fatal(err)
			}
			w.within("a member that is not quiet took a topology", time.Since(began), 0, 10*time.Millisecond)
		}
	})
}

// goneSince returns when a leader learnt that a process is dead.
func (l *leader) goneSince(p *process) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone[p.id.BootID]
}

// replaceThird starts a cluster of three whose leader can seal an epoch only by the slot of the
// third: the host of the second adopts nothing any more. Then the third dies, and has given a
// lease. Another process takes its slot, at another address. The epoch e is the one that this made.
func (w *world) replaceThird() (leader, second, third, next *process, e version.Epoch) {
	w.Helper()
	w.term = 410 * time.Millisecond
	leader, second, third = w.ledTrio()
	w.leads(leader)
	before := leader.m.current().Epoch
	second.block()
	third.give(before, w.term)
	third.crash()
	next = w.start(third.id.Name, seeds("a", "b", "c"), stuck, at("elsewhere:7000"))
	w.until("the slot is vacated", 2*time.Second, func() bool { return leader.m.current().Epoch > before })
	return leader, second, third, next, before + 1
}

// L10: a process that is proved dead counts a term and a quarter after that, since the holders of
// its leases may count on them. Then it counts, and so does its slot from the next epoch on, at
// once.
func TestTheLeasesOfADeadProcess(t *testing.T) {
	simulate(t, func(w *world) {
		leader, second, third, next, e := w.replaceThird()
		since := w.leads(leader).goneSince(third)
		w.until("the epoch is sealed", time.Second, func() bool { return leader.m.Sealed() == e })
		w.within("sealed", time.Since(since), w.term*5/4, 6*time.Millisecond)

		next.crash() // from now on it reports nothing
		w.within("with a slot that was vacant already the clear was answered", w.clearTime(leader), 0, 10*time.Millisecond)
		second.unblock()
	})
}

// A leader that was elected after a slot was vacated waits as long, from the moment at which it saw
// that.
func TestTheLeasesOfADeadProcessUnderANewLeader(t *testing.T) {
	simulate(t, func(w *world) {
		leader, second, third, _, e := w.replaceThird()
		leader.m.group.transfer(w.ctx(time.Second), second.id.BootID)
		l := w.leads(second)
		w.until("the epoch is sealed", time.Second, func() bool { return second.m.Sealed() == e })
		w.within("sealed", time.Since(l.goneSince(third)), w.term*5/4, 6*time.Millisecond)
		second.unblock()
	})
}

// M5, L10: a membership that is over says so only once its leases are over. Its end does not wait
// for them.
func TestAMembershipThatIsOverIsQuietBeforeItCounts(t *testing.T) {
	simulate(t, func(w *world) {
		leader, slow, stopping := w.ledTrio()
		w.leads(leader)
		slow.block()
		stopping.give(leader.m.current().Epoch, 300*time.Millisecond)
		began := time.Now()
		stopping.cancel()
		<-stopping.ended
		w.within("the membership has ended", time.Since(began), 0, 10*time.Millisecond)
		w.clearTime(leader)
		w.within("the clear was answered", time.Since(began), 300*time.Millisecond, 10*time.Millisecond)
		slow.unblock()
	})
}

// All members learn that an epoch is sealed as soon as the leader finds it out. No request needs to
// wait for that.
func TestAllMembersKnowWhatIsSealed(t *testing.T) {
	simulate(t, func(w *world) {
		leader, b, c := w.ledTrio()
		nodes := []*process{leader, b, c}
		e := w.agree(time.Second, nodes...).Epoch
		know := func(e version.Epoch) func() bool {
			return func() bool {
				return !slices.ContainsFunc(nodes, func(p *process) bool { return p.m.Sealed() != e })
			}
		}
		w.until("all know that the present epoch is sealed", time.Second, know(e))
		b.give(e, 300*time.Millisecond)
		c.give(e, 300*time.Millisecond)
		began := time.Now()
		if err := b.m.Purge(w.ctx(time.Second), 7, e); err != nil { // its answer does not wait for the seal
			t.Fatal(err)
		}
		w.until("all are at the next epoch", 50*time.Millisecond, func() bool {
			return !slices.ContainsFunc(nodes, func(p *process) bool { return p.m.current().Epoch != e+1 })
		})
		time.Sleep(200 * time.Millisecond)
		if !know(e)() {
			t.Error("an epoch is sealed, and nobody but the leader is quiet at it")
		}
		w.until("all know that the next epoch is sealed", time.Second, know(e+1))
		w.within("all knew it", time.Since(began), 300*time.Millisecond, 15*time.Millisecond)
	})
}

// What a member is told of seals takes nothing from what it knows, and adds nothing of an epoch
// that it has not heard of.
func TestLearnSealed(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a")
		e := w.agree(time.Second, a).Epoch
		w.until("sealed", time.Second, func() bool { return a.m.Sealed() == e })
		for _, step := range []struct{ told, knows version.Epoch }{{e + 3, e}, {e, e}, {e - 1, e}, {0, e}} {
			a.m.LearnSealed(step.told)
			if got := a.m.Sealed(); got != step.knows {
				t.Errorf("told %d: knows %d, want %d", step.told, got, step.knows)
			}
		}
	})
}

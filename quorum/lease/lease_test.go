package lease

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"viakv/quorum/version"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const term = 100 * time.Millisecond

// hand is a clock that a test moves.
type hand time.Duration

func (h *hand) read() time.Duration  { return time.Duration(*h) }
func (h *hand) move(d time.Duration) { *h += hand(d) }

// member is one end of leases: what it has given and what it holds.
type member struct {
	clock hand
	rate  float64
	*Grants
	*Held
}

func newMember(rate float64) *member {
	m := &member{rate: rate}
	m.Grants, m.Held = NewGrants(m.clock.read, term), NewHeld(m.clock.read, term)
	return m
}

// A node that says that it is alone is named by all on whom that rests, as long as the rates of the
// clocks differ by less than a tenth. It is so whatever is asked when, however late answers come,
// and whatever is closed, given back or dropped.
func TestWhoeverIsAloneIsNamed(t *testing.T) {
	for range 20 { // a hundred sequences each
		rapid.Check(t, whoeverIsAloneIsNamed)
	}
}

func whoeverIsAloneIsNamed(t *rapid.T) {
	const me = version.Incarnation(9)
	rates := rapid.Float64Range(0.95, 1.045)
	holder := newMember(rates.Draw(t, "the holder's rate"))
	grantors := []*member{newMember(rates.Draw(t, "rate")), newMember(rates.Draw(t, "rate"))}
	need := rapid.IntRange(1, 2).Draw(t, "need")
	holder.Enter(Place{Epoch: 1, Members: []version.Incarnation{1, 2, 0}, Need: need})
	// What is under way.
	type answer struct {
		from   int
		number uint64
		asked  Asked
	}
	type giving struct {
		to   int
		upTo uint64
	}
	var answers []answer
	var givings []giving
	g := rapid.IntRange(0, 1)
	t.Repeat(map[string]func(*rapid.T){
		"time passes": func(t *rapid.T) {
			d := float64(rapid.IntRange(0, 120).Draw(t, "ms")) * float64(time.Millisecond)
			for _, m := range append(grantors, holder) {
				m.clock.move(time.Duration(d * m.rate))
			}
		},
		"ask": func(t *rapid.T) {
			i := g.Draw(t, "of")
			asked := holder.Ask()
			if n := grantors[i].Give(me, 1); n != 0 {
				answers = append(answers, answer{i, n, asked})
			}
		},
		"answer": func(t *rapid.T) {
			if len(answers) == 0 {
				t.Skip("nothing is under way")
			}
			i := rapid.IntRange(0, len(answers)-1).Draw(t, "which")
			a := answers[i]
			answers = slices.Delete(answers, i, i+1)
			if !holder.Given(version.Incarnation(a.from+1), a.number, a.asked) {
				holder.CaughtUp(version.Incarnation(a.from+1), a.number)
			}
		},
		"close": func(t *rapid.T) {
			x := grantors[g.Draw(t, "at")]
			for _, n := range x.Names() {
				x.Close(n)
			}
		},
		"drop": func(*rapid.T) { holder.Drop() },
		"give back": func(t *rapid.T) {
			i := g.Draw(t, "to")
			givings = append(givings, giving{i, holder.Held.Returned(version.Incarnation(i + 1))})
		},
		"take back": func(t *rapid.T) {
			if len(givings) == 0 {
				t.Skip("nothing is under way")
			}
			i := rapid.IntRange(0, len(givings)-1).Draw(t, "which")
			grantors[givings[i].to].Grants.Returned(me, givings[i].upTo)
			givings = slices.Delete(givings, i, i+1)
		},
		"": func(t *rapid.T) {
			if !holder.Alone(1) {
				return
			}
			sessions, named := holder.Sessions(1), 0
			for i, x := range grantors {
				if x.Tidy(); x.Named(Name{me, sessions[i]}) {
					named++
					x.Close(Name{me, sessions[i] + 1}) // of another session: nothing
				}
			}
			if named < need {
				t.Fatalf("alone, and %d of %d name it", named, need)
			}
		},
	})
}

// L1, L5: a session is renewed while it stands. One that has ended, or was closed, is followed by
// one with a higher number, and a closed one only after a rest.
func TestSessionsOfAGrantor(t *testing.T) {
	m := newMember(1)
	wait := func(d time.Duration) { m.clock.move(d) }
	give := func(want uint64) {
		t.Helper()
		if got := m.Give(7, 1); got != want {
			t.Fatalf("session %d, want %d", got, want)
		}
	}
	give(1)
	wait(term)
	give(1)
	if m.Close(Name{7, 2}) != 0 {
		t.Error("a session that there is not is not over")
	}
	give(1)
	wait(term + 1)
	give(2)
	n := Name{7, 2}
	wait(term / 4)
	if left := m.Close(n); left <= 0 || left > term {
		t.Fatalf("over in %v", left)
	}
	give(0)
	wait(term)
	if left := m.Close(n); left != 0 || m.Named(n) || len(m.Names()) != 0 {
		t.Fatalf("over in %v, and %v are named", left, m.Names())
	}
	wait(rests*term - term/2)
	give(0)
	wait(term)
	give(3)
	m.Close(Name{7, 3})
	wait(term + rests*term + term)
	give(0) // it rests for twice as long
	wait(rests * term)
	give(4)
	wait(2 * term)
	if m.Close(Name{7, 4}) != 0 {
		t.Fatal("not over")
	}
	m.clock.move(-2 * term)
	if m.Close(Name{7, 4}) != 0 || m.Named(Name{7, 4}) {
		t.Error("a session that was over stands again, since the clock was set back")
	}
}

// A session is named no longer than until the grantor looks, though nobody asks it for anything.
func TestWhatIsOverIsNotNamed(t *testing.T) {
	m := newMember(1)
	m.Give(7, 1)
	m.clock.move(term / 2)
	m.Give(8, 1)
	m.clock.move(term/2 + 1)
	m.Tidy()
	if names := m.Names(); len(names) != 1 || names[0].Holder != 8 {
		t.Errorf("%v are named", names)
	}
}

// L10: a member is quiet once nobody who may be below the epoch has a promise.
func TestAMemberIsQuietOnceItsPromisesAreOver(t *testing.T) {
	m := newMember(1)
	m.Give(7, 1)
	m.clock.move(term / 2)
	m.Give(8, 2)
	if left := m.Quiet(1); left != 0 {
		t.Errorf("%v until quiet at the epoch of both", left)
	}
	m.Give(8, 2)
	if left := m.Quiet(2); left <= 0 || left > term/2+1 {
		t.Errorf("%v until quiet while the first may be behind", left)
	}
	if m.Give(7, 1) != 0 || m.Give(9, 1) != 0 {
		t.Error("a lease is given to a member below the epoch")
	}
	m.Give(7, 2)
	if left := m.Quiet(2); left != 0 {
		t.Errorf("%v until quiet once the first has asked at the epoch", left)
	}
	m.Grants.Returned(8, 1)
	if !m.Named(Name{8, 2}) {
		t.Error("the return of an earlier session has ended this one")
	}
	m.Grants.Returned(8, 2)
	if left := m.Quiet(9); left <= 0 || m.Named(Name{8, 2}) {
		t.Errorf("%v until quiet, and the one that has given back is named: %v", left, m.Names())
	}
	m.Grants.Stop()
	if m.Give(7, 2) != 0 || m.Give(9, 2) != 0 {
		t.Error("a member that stops gives a lease")
	}
	m.clock.move(term + 1)
	if left := m.Quiet(9); left != 0 {
		t.Errorf("%v until quiet once all are over", left)
	}
}

// L3: a member is alone while enough sessions count, of processes that are active at its epoch.
func TestHowManySessionsAreNeeded(t *testing.T) {
	for _, c := range []struct {
		name  string
		place Place
		held  []version.Incarnation
		want  bool
	}{
		{"none is needed", Place{1, []version.Incarnation{0, 2}, 0}, nil, true},
		{"one of one", Place{1, []version.Incarnation{0, 2}, 1}, []version.Incarnation{2}, true},
		{"none of one", Place{1, []version.Incarnation{0, 2}, 1}, nil, false},
		{"one of two", Place{1, []version.Incarnation{0, 2, 3}, 2}, []version.Incarnation{2}, false},
		{"one that is gone", Place{1, []version.Incarnation{0, 2}, 1}, []version.Incarnation{3}, false},
		{"at another epoch", Place{2, []version.Incarnation{0, 2}, 1}, []version.Incarnation{2}, false},
	} {
		m := newMember(1)
		for _, g := range c.held {
			m.Given(g, 5, m.Ask())
			m.CaughtUp(g, 5)
		}
		m.Enter(c.place)
		if m.Alone(1) != c.want {
			t.Errorf("%s: alone: %v", c.name, !c.want)
		}
		if s := m.Sessions(1); c.want && len(c.held) > 0 && s[1] != 5 || c.place.Epoch == 2 && s != nil {
			t.Errorf("%s: sessions %v", c.name, s)
		}
	}
	if newMember(1).Alone(0) {
		t.Error("alone before it has a place")
	}
}

// L2: a session counts once the holder has caught up with it, and not with another one.
func TestCatchingUp(t *testing.T) {
	m := newMember(1)
	m.Enter(Place{1, []version.Incarnation{0, 2}, 1})
	if m.Given(2, 5, m.Ask()) || m.Alone(1) {
		t.Fatal("counts at once")
	}
	m.CaughtUp(2, 4)
	m.CaughtUp(3, 5)
	if m.Alone(1) {
		t.Fatal("counts once another one has")
	}
	m.CaughtUp(2, 5)
	if !m.Alone(1) || !m.Given(2, 5, m.Ask()) || m.Counts(2) != 5 {
		t.Fatal("does not count")
	}
	m.Given(2, 6, m.Ask())
	if m.Alone(1) || m.Counts(2) != 0 || m.Counts(3) != 0 {
		t.Fatal("the next session counts at once")
	}
	m.CaughtUp(2, 6)
	m.Given(2, 5, m.Ask()) // late
	if !m.Alone(1) || m.Sessions(1)[1] != 6 {
		t.Fatal("an old answer has ended the session")
	}
	m.clock.move(term / 2)
	m.Given(2, 5, m.Ask())
	m.clock.move(term / 2)
	if m.Alone(1) {
		t.Fatal("an old answer has renewed the session")
	}
	m.Given(2, 6, m.Ask())
	asked := m.Ask()
	m.Drop()
	m.Given(2, 6, asked)
	m.CaughtUp(2, 6)
	if m.Alone(1) {
		t.Error("what was asked before it was dropped counts")
	}
}

// L1: a holder counts on eight tenths of a term from the moment that it noted before it asked.
func TestWhatIsCountedFromTheAnswer(t *testing.T) {
	m := newMember(1)
	m.Enter(Place{1, []version.Incarnation{0, 2}, 1})
	asked := m.Ask()
	m.clock.move(term / 2)
	m.Given(2, 5, asked)
	m.CaughtUp(2, 5)
	m.clock.move(term/10*3 - 1)
	if !m.Alone(1) {
		t.Error("not alone before eight tenths of the term are over")
	}
	if m.clock.move(1); m.Alone(1) {
		t.Error("alone after eight tenths of the term")
	}
}

// A session that was given up never counts again, though its grantor may have renewed it before it
// has heard of that.
func TestWhatWasGivenUpNeverCountsAgain(t *testing.T) {
	m := newMember(1)
	m.Enter(Place{1, []version.Incarnation{0, 2}, 1})
	m.Given(2, 5, m.Ask())
	m.CaughtUp(2, 5)
	m.Drop()
	if m.Held.Returned(2) != 5 || m.Held.Returned(3) != 0 {
		t.Errorf("gives back %d and %d", m.Held.Returned(2), m.Held.Returned(3))
	}
	m.Given(2, 5, m.Ask())
	m.CaughtUp(2, 5)
	if m.Alone(1) {
		t.Error("a session that was given up counts")
	}
	m.Given(2, 6, m.Ask())
	m.CaughtUp(2, 6)
	if !m.Alone(1) {
		t.Error("the next one does not count")
	}
	before := m.Ask()
	m.Drop()
	if m.Given(2, 7, before); m.Held.Returned(2) != 7 {
		t.Errorf("what comes after it was given up is not given back: %d", m.Held.Returned(2))
	}
	m.Given(2, 8, m.Ask())
	m.CaughtUp(2, 8)
	if m.Given(2, 8, before); !m.Alone(1) || m.Held.Returned(2) != 7 {
		t.Errorf("a late answer about the session that counts now: alone: %v, gives back %d", m.Alone(1), m.Held.Returned(2))
	}
	asked := m.Ask()
	m.Held.Stop()
	for _, asked := range []Asked{asked, m.Ask()} {
		if !m.Given(2, 9, asked) || m.Held.Returned(2) != forever || m.Held.Returned(3) != forever || m.Alone(1) {
			t.Errorf("after the end it gives back %d and %d", m.Held.Returned(2), m.Held.Returned(3))
		}
	}
}

// A grantor that is gone is forgotten.
func TestGrantorsThatAreGone(t *testing.T) {
	m := newMember(1)
	m.Given(2, 5, m.Ask())
	m.Drop()
	m.Given(2, 6, m.Ask())
	m.Enter(Place{2, []version.Incarnation{0, 3}, 1})
	if m.Held.Returned(2) != 0 || len(m.sessions) != 0 {
		t.Errorf("gives back %d, and holds %d", m.Held.Returned(2), len(m.sessions))
	}
}

// A holder that gives all back for ever gets no other lease, though it has asked before that.
func TestGivingBackForEver(t *testing.T) {
	m := newMember(1)
	m.Give(7, 1)
	for range 2 {
		m.Grants.Returned(7, forever)
		m.Grants.Returned(8, forever)
		if m.Give(7, 1) != 0 || m.Give(8, 1) != 0 || len(m.Names()) != 0 {
			t.Errorf("%v are named", m.Names())
		}
		m.clock.move(maxRest - 1)
	}
	m.clock.move(maxRest)
	m.Give(9, 1)
	m.clock.move(maxRest)
	if m.Give(10, 1); len(m.leases) > 2 {
		t.Errorf("%d holders are remembered", len(m.leases))
	}
}

// A pause begins when leases were of no use for as long as it takes, and ends at the next use.
func TestLeasesPauseWhileTheyAreOfNoUse(t *testing.T) {
	m := newMember(1)
	m.Use()
	if m.Pause() || m.Paused() != nil {
		t.Error("a pause after a use")
	}
	for range 2 {
		if !m.Pause() {
			t.Error("no pause after no use")
		}
	}
	paused := m.Paused()
	m.Use()
	m.Use()
	<-paused
	if m.Paused() != nil || m.Pause() {
		t.Error("a pause after a use")
	}
}

// More leases than may be named are not given.
func TestLeasesAreBounded(t *testing.T) {
	m := newMember(1)
	for i := range version.Incarnation(MaxNames + 1) {
		if got := m.Give(i+1, 1) != 0; got != (i < MaxNames) {
			t.Fatalf("lease %d: %v", i, got)
		}
	}
	m.Grants.Returned(1, MaxNames)
	if m.Give(MaxNames+1, 1) == 0 || m.Give(1, 1) != 0 || m.Give(2, 1) == 0 {
		t.Error("a place that is free is not taken, or taken twice")
	}
	m.clock.move(term + 1)
	if m.Give(MaxNames+1, 1) == 0 || len(m.Names()) != 1 {
		t.Errorf("%d are named once the others are over", len(m.Names()))
	}
}

// What is known to be over is known of all earlier sessions of the two processes.
func TestWhatIsKnownToBeOver(t *testing.T) {
	var e Ended
	if e.Known(1, Name{2, 1}) {
		t.Error("known before it is")
	}
	e.Note(1, Name{2, 5})
	e.Note(1, Name{2, 4})
	if e.Known(3, Name{2, 1}) {
		t.Error("a session of another grantor is known to be over")
	}
	for n, want := range map[uint64]bool{4: true, 5: true, 6: false} {
		if e.Known(1, Name{2, n}) != want || e.Known(2, Name{1, n}) || e.Known(1, Name{3, n}) {
			t.Errorf("session %d: known: %v", n, !want)
		}
	}
	for i := range version.Incarnation(2 * maxEnded) {
		e.Note(i+10, Name{2, 1})
	}
	if len(e.newest) > maxEnded {
		t.Errorf("%d are kept", len(e.newest))
	}
}

func TestLookingCostsNothing(t *testing.T) {
	m := newMember(1)
	m.Enter(Place{1, []version.Incarnation{0, 2}, 1})
	m.Given(2, 5, m.Ask())
	m.CaughtUp(2, 5)
	m.Give(7, 1)
	if n := testing.AllocsPerRun(100, func() {
		m.Use()
		_, _, _ = m.Alone(1), m.Names(), m.Sessions(1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A session that its holder has let run out has lapsed, until the next one begins. One that was
// given back or closed has not.
func TestLapsedSessions(t *testing.T) {
	var now time.Duration
	g := NewGrants(func() time.Duration { return now }, term)
	lapsed := func(want bool) {
		t.Helper()
		if g.Lapsed(2) != want {
			t.Errorf("lapsed: %v", !want)
		}
	}
	lapsed(false)
	g.Give(2, 1)
	now += term
	lapsed(false)
	now++
	lapsed(true)
	session := g.Give(2, 1)
	lapsed(false)
	g.Returned(2, session)
	lapsed(false)
	session = g.Give(2, 1)
	g.Close(Name{2, session})
	now += term + 1
	lapsed(false) // it was not allowed to
}

package lease

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"viakv/quorum/version"
)

// A node tells since when it is alone, since when it is not, and what each lease lacks. It need not
// be asked at the moment of the change.
func TestTheStatusOfLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHeld(Monotonic(), term)
		h.Enter(Place{1, []version.Incarnation{0, 2, 3}, 1})
		start := time.Now()
		at := func(d time.Duration) time.Time { return start.Add(d) }
		want := func(what string, alone, idle bool, since time.Time, lacks ...Lack) {
			t.Helper()
			s, counting := h.Status(), 0
			for _, l := range lacks {
				if l == Nothing {
					counting++
				}
			}
			if s.Alone != alone || s.Idle != idle || !s.Since.Equal(since) || s.Need != 1 || s.Counting != counting || !slices.Equal(s.Lacks, append([]Lack{NoProcess}, lacks...)) {
				t.Errorf("%s: %+v since %v\nwant alone %v, idle %v, since %v, lacks %v", what, s, s.Since.Sub(start), alone, idle, since.Sub(start), lacks)
			}
		}
		want("at first", false, false, start, NotAsked, NotAsked)

		time.Sleep(time.Second)
		h.Lacks(2, NoAnswer)
		h.Lacks(3, OtherEpoch)
		want("no answer", false, false, start, NoAnswer, OtherEpoch)
		asked := h.Ask()
		h.Given(2, 1, asked)
		h.Lacks(3, NotGiven)
		want("a lease is new", false, false, start, CatchingUp, NotGiven)
		h.CaughtUp(2, 1)
		want("it counts", true, false, at(time.Second), Nothing, NotGiven)

		time.Sleep(term / 2)
		h.Given(2, 1, h.Ask())
		want("it is renewed", true, false, at(time.Second), Nothing, NotGiven)
		time.Sleep(5 * term)
		ended := at(time.Second + term/2 + term/10*8)
		want("it has run out", false, false, ended, RanOut, NotGiven)
		h.Lacks(2, NoAnswer)
		want("its member does not answer", false, false, ended, NoAnswer, NotGiven)

		// It ends and begins again, and nobody asks in between.
		h.Given(2, 1, h.Ask())
		time.Sleep(5 * term)
		again := time.Now()
		h.Given(2, 1, h.Ask())
		want("it is renewed late", true, false, again, Nothing, NotGiven)

		h.Pause()
		want("a pause begins", true, false, again, Nothing, NotGiven)
		time.Sleep(term / 10)
		h.Drop()
		want("leases are given up", false, true, again.Add(term/10), NotAsked, NotAsked)
		time.Sleep(time.Minute)
		h.Use()
		want("they are of use again", false, false, again.Add(term/10+time.Minute), NotAsked, NotAsked)
		h.Use()
		time.Sleep(time.Second)
		want("and again", false, false, again.Add(term/10+time.Minute), NotAsked, NotAsked)

		h.Given(2, 5, h.Ask())
		h.CaughtUp(2, 5)
		h.Lacks(3, NoAnswer)
		since := time.Now()
		h.Enter(Place{2, []version.Incarnation{0, 2, 4}, 1})
		time.Sleep(term / 10)
		want("another epoch", true, false, since, Nothing, NotAsked)
		h.Enter(Place{3, []version.Incarnation{0, 0, 4}, 1})
		want("its member is gone", false, false, time.Now(), NoProcess, NotAsked)
	})
}

// Where no lease is needed, a node is alone whether leases are of use or not.
func TestTheStatusWhereNoLeaseIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHeld(Monotonic(), term)
		time.Sleep(time.Second)
		h.Enter(Place{1, []version.Incarnation{0}, 0})
		since := time.Now()
		h.Pause()
		time.Sleep(time.Hour)
		if s := h.Status(); !s.Alone || s.Idle || !s.Since.Equal(since) {
			t.Errorf("%+v", s)
		}
	})
}

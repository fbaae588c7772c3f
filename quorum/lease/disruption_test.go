package lease

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/quorum/version"
)

// A node whose machine has stood still does not rest on what it asked for before, although its
// clock does not show that any time has passed. What it asks for afterwards counts.
func TestLeasesEndWhenTheMachineHasStoodStill(t *testing.T) {
	var clock hand
	marker := uint64(7)
	m := NewHeld(Jumping(clock.read, func() uint64 { return marker }), term)
	m.Enter(Place{Epoch: 1, Members: []version.Incarnation{1, 0}, Need: 1})
	hold := func(asked Asked) {
		m.Given(1, 1, asked)
		m.CaughtUp(1, 1)
	}
	hold(m.Ask())
	if !m.Alone(1) {
		t.Fatal("not alone with a lease")
	}
	late := m.Ask()
	marker-- // any change
	if m.Alone(1) {
		t.Error("alone after the machine has stood still")
	}
	if hold(late); m.Alone(1) {
		t.Error("alone by what was asked before the machine stood still")
	}
	if hold(m.Ask()); !m.Alone(1) {
		t.Error("not alone by what was asked since")
	}
	if clock.move(term); m.Alone(1) {
		t.Error("alone after the lease")
	}
}

// A change of the marker is one jump, however many goroutines notice it.
func TestAChangeOfTheMarkerIsOneJump(t *testing.T) {
	var marker atomic.Uint64
	clock := Jumping(func() time.Duration { return time.Second }, marker.Load)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for last := time.Duration(0); marker.Load() < 100; {
				now := clock()
				if now < last {
					t.Errorf("the clock goes back from %v to %v", last, now)
					return
				}
				last = now
			}
		})
	}
	for range 100 {
		marker.Add(1)
		clock()
	}
	readers.Wait()
	if got, want := clock(), time.Second+100*time.Hour; got != want {
		t.Errorf("%v after 100 changes, want %v", got, want)
	}
}

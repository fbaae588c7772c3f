package health

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// The log keeps the last Kept events in order, and counts all.
func TestTheLogKeepsTheLastEvents(t *testing.T) {
	var l Log
	if len(l.Last(Kept)) != 0 || len(l.Counts()) != 0 {
		t.Fatal("an empty log has events")
	}
	for i := 1; i <= 2*Kept+7; i++ {
		name := []string{eventServing, eventRefusing}[i%2]
		if e := l.Add(Event{Name: name, Text: fmt.Sprint(i), Sequence: 99}); e.Sequence != uint64(i) {
			t.Fatalf("event %d has sequence %d", i, e.Sequence)
		}
		for _, n := range []int{0, 1, 3, Kept, 5 * Kept} {
			last := l.Last(n)
			if want := min(n, i, Kept); len(last) != want {
				t.Fatalf("the last %d of %d: %d events, want %d", n, i, len(last), want)
			}
			for k, e := range last {
				if want := i - len(last) + 1 + k; e.Sequence != uint64(want) || e.Text != fmt.Sprint(want) {
					t.Fatalf("the last %d of %d: at %d is %+v, want event %d", n, i, k, e, want)
				}
			}
		}
		if c := l.Counts(); c[eventRefusing] != uint64(i+1)/2 || c[eventServing] != uint64(i)/2 {
			t.Fatalf("after %d: %v", i, c)
		}
	}
	l.Counts()[eventServing] = 0 // a copy
	l.Last(1)[0].Text = "changed"
	if l.Counts()[eventServing] == 0 || l.Last(1)[0].Text == "changed" {
		t.Error("what the log returns is its own memory")
	}
}

// Events that are added at once get each a sequence of their own, and stay in its order.
func TestTheLogIsSafeForConcurrentUse(t *testing.T) {
	var l Log
	var adding sync.WaitGroup
	const each = 300
	for range 4 {
		adding.Go(func() {
			for range each {
				l.Add(Event{Name: eventLeader})
				last := l.Last(10)
				if !slices.IsSortedFunc(last, func(a, b Event) int { return int(a.Sequence) - int(b.Sequence) }) {
					t.Error("out of order")
				}
				_ = l.Counts()
			}
		})
	}
	adding.Wait()
	if last := l.Last(Kept); len(last) != Kept || last[0].Sequence != 4*each-Kept+1 || l.Counts()[eventLeader] != 4*each {
		t.Errorf("%d kept from %d on, %v", len(last), last[0].Sequence, l.Counts())
	}
}

// The names of events go into metrics and pages: none is empty and none is there twice.
func TestEventNames(t *testing.T) {
	names := EventNames()
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) || names[0] == "" {
		t.Errorf("%q", names)
	}
}

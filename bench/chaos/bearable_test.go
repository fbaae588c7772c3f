package chaos

import (
	"slices"
	"testing"
	"time"

	"viakv/bench/check"
)

func TestWhatIsBeyondBearing(t *testing.T) {
	fault := func(kind, node string, from, to float64) check.Fault {
		return check.Fault{Kind: kind, Node: node, From: from, To: to}
	}
	span := func(from, to time.Duration) check.Span {
		return check.Span{From: from * time.Second, To: to*time.Second + recovery}
	}
	for _, c := range []struct {
		name   string
		nodes  int
		faults []check.Fault
		want   []check.Span
	}{
		{"one of three", 3, []check.Fault{fault("kill", "a", 1, 5)}, nil},
		{"two faults of one node", 3, []check.Fault{fault("kill", "a", 1, 5), fault("cut", "a", 2, 4)}, nil},
		{"two of three", 3, []check.Fault{fault("kill", "a", 1, 5), fault("pause", "b", 3, 8)}, []check.Span{span(3, 5)}},
		{"two of five", 5, []check.Fault{fault("kill", "a", 1, 5), fault("pause", "b", 3, 8)}, nil},
		{"one of the two that stay", 3, []check.Fault{fault("leave", "a", 1, 9), fault("isolate", "b", 3, 4)}, []check.Span{span(3, 4)}},
		{"one of four", 3, []check.Fault{fault("join", "d", 1, 9), fault("isolate", "b", 3, 4)}, nil},
		{"two spans that touch", 3, []check.Fault{fault("kill", "a", 0, 20), fault("pause", "b", 3, 4), fault("cut", "c", 4, 6)}, []check.Span{span(3, 6)}},
		{"two spans apart", 3, []check.Fault{fault("kill", "a", 0, 20), fault("pause", "b", 3, 4), fault("cut", "c", 14, 16)},
			[]check.Span{span(3, 4), span(14, 16)}},
	} {
		if got := beyond(c.faults, c.nodes); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestSurvivable(t *testing.T) {
	for members, want := range map[int]int{1: 0, 2: 0, 3: 1, 4: 1, 5: 2, 6: 2, 7: 3} {
		if got := survivable(members); got != want {
			t.Errorf("%d members survive %d broken ones, want %d", members, got, want)
		}
	}
}

package check

import (
	"testing"
	"time"
)

func TestLongestGap(t *testing.T) {
	for _, c := range []struct {
		name  string
		times []time.Duration
		but   []Span
		want  time.Duration
	}{
		{"nothing left out", []time.Duration{0, 9, 3, 12}, nil, 6},
		{"beyond the end", []time.Duration{0, 3, 30}, nil, 9},
		{"the middle of it", []time.Duration{0, 12}, []Span{{5, 9}}, 5},
		{"its beginning", []time.Duration{2, 12}, []Span{{0, 9}}, 3},
		{"its end", []time.Duration{2, 12}, []Span{{9, 20}}, 7},
		{"all of it", []time.Duration{2, 12}, []Span{{0, 20}}, 0},
		{"two parts", []time.Duration{0, 12}, []Span{{3, 4}, {10, 11}}, 6},
		{"elsewhere", []time.Duration{0, 3, 12}, []Span{{1, 2}}, 9},
	} {
		if got := longestGap(c.times, 12, c.but); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

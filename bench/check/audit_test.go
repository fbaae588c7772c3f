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

func TestAvailability(t *testing.T) {
	s := int(time.Second)
	h := scripted(op(0, s/10, set, done, 1), op(s/2, s/2+s/5, get, done, 1), op(3*s, 3*s+s/10, set, done, 2))
	h.others = append(h.others, op(s, s+1, set, refused, 0), op(s, int(forever), get, open, 0))
	buckets, longest, bearable := h.Availability(5*time.Second, []Span{{0, 5 * time.Second}})
	if buckets[0].Good != 2 || buckets[1].Refused != 1 || buckets[1].Unknown != 1 || buckets[3].Good != 1 || buckets[0].Serving != 1 || buckets[0].Max == 0 {
		t.Errorf("got %+v", buckets)
	}
	if longest != 3*time.Second {
		t.Errorf("longest %v, want from 0.1 s to 3.1 s", longest)
	}
	if bearable != 0 {
		t.Errorf("%v are counted although nothing was to be expected", bearable)
	}
}

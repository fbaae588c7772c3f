package history

import (
	"math"
	"testing"
	"time"
	"unsafe"

	"viakv/api/health"
	"viakv/api/kv"
)

// clock makes looks, a second apart unless it is told otherwise.
type clock struct {
	Recorder
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

// look has the recorder look at figures that are as old as the look.
func (c *clock) look(after time.Duration, figures ...kv.Figures) Point {
	c.now = c.now.Add(after)
	for i := range figures {
		figures[i].At = c.now
	}
	c.Observe(&Look{At: c.now, Members: 3, Answering: len(figures), Verdict: health.Degraded, Keys: 7, Bytes: 9, Figures: figures})
	_, live := c.Since(0)
	return live
}

// reads are the figures of a process that has answered n reads, each within 50 µs.
func reads(process, n uint64) kv.Figures {
	f := kv.Figures{Process: process, ReadsAnswered: n}
	f.Took[0] = n
	return f
}

func TestRatesAreSummedOverMembers(t *testing.T) {
	c := newClock()
	if p := c.look(0, reads(1, 1000), reads(2, 5000)); p.Reporting != 0 || p.ReadsAnswered != 0 || p.P50 >= 0 {
		t.Errorf("at the first look, nothing can be known: %+v", p)
	}
	a, b := reads(1, 1100), reads(2, 5000)
	a.WritesAnswered, a.WritesRefused, b.ReadsRefused, b.WritesRefused = 20, 3, 4, 5
	p := c.look(2*time.Second, a, b)
	if want := (Rate{ReadsAnswered: 50, ReadsRefused: 2, WritesAnswered: 10, WritesRefused: 4}); p.Rate != want || p.Reporting != 2 {
		t.Errorf("%+v, want %+v", p, want)
	}
	if p.Members != 3 || p.Answering != 2 || p.Verdict != health.Degraded || p.Keys != 7 || p.Bytes != 9 || p.At != c.now.UnixMilli() {
		t.Errorf("%+v", p)
	}
}

// A member that comes back is another process, which has counted from zero.
func TestARestartedMemberIsAnotherProcess(t *testing.T) {
	c := newClock()
	c.look(0, reads(1, 100), reads(2, 900))
	c.look(time.Second, reads(1, 110), reads(2, 1000))
	if p := c.look(time.Second, reads(1, 120), reads(3, 50)); p.ReadsAnswered != 10 || p.Reporting != 1 {
		t.Errorf("%+v: the new process has no rate yet, and the old one none any more", p)
	}
	if p := c.look(time.Second, reads(1, 130), reads(3, 80)); p.ReadsAnswered != 40 || p.Reporting != 2 {
		t.Errorf("%+v", p)
	}
}

func TestAMemberThatIsGoneHasNoRate(t *testing.T) {
	c := newClock()
	c.look(0, reads(1, 0), reads(2, 0))
	c.look(time.Second, reads(1, 10), reads(2, 10))
	if p := c.look(time.Second, reads(1, 20)); p.ReadsAnswered != 10 || p.Reporting != 1 {
		t.Errorf("%+v", p)
	}
	if n := len(c.second.known); n != 1 {
		t.Errorf("%d processes are remembered", n)
	}
	// What it did while it was not heard is of no time in particular.
	if p := c.look(time.Second, reads(1, 30), reads(2, 10_000)); p.ReadsAnswered != 10 {
		t.Errorf("%+v", p)
	}
}

// A report that has not come anew says that the member goes on as it did.
func TestAReportMayBeALittleOld(t *testing.T) {
	c := newClock()
	old := reads(2, 10)
	c.look(0, reads(1, 0), reads(2, 0))
	old.At = c.now.Add(time.Second)
	for i := range 2 {
		c.now = c.now.Add(time.Second)
		own := reads(1, uint64(10*(i+1)))
		own.At = c.now
		c.Observe(&Look{At: c.now, Figures: []kv.Figures{own, old}})
		if _, p := c.Since(0); p.ReadsAnswered != 20 || p.Reporting != 2 {
			t.Errorf("look %d: %+v", i, p)
		}
	}
	// Reports may overtake each other on their way. A rate is never negative.
	if p := c.look(time.Second, reads(1, 30), reads(2, 9)); p.ReadsAnswered != 10 || p.Reporting != 2 {
		t.Errorf("%+v", p)
	}
}

// While the machine sleeps nothing is recorded. What was counted meanwhile is of no time in
// particular.
func TestAGap(t *testing.T) {
	c := newClock()
	for i := range 10 {
		c.look(time.Second, reads(1, uint64(i)))
	}
	if p := c.look(time.Minute, reads(1, 1_000_000)); p.Reporting != 0 || p.ReadsAnswered != 0 {
		t.Errorf("%+v", p)
	}
	kept, _ := c.Since(0)
	last := kept[len(kept)-1]
	if last.Reporting != 0 || last.At-kept[len(kept)-2].At < time.Minute.Milliseconds() {
		t.Errorf("%+v", kept)
	}
	for range 5 {
		c.look(time.Second, reads(1, 1_000_050))
	}
	if kept, _ = c.Since(0); kept[len(kept)-1].ReadsAnswered != 10 {
		t.Errorf("%+v", kept[len(kept)-1])
	}
}

// A point is kept every five seconds, with the rate of the five seconds. Looks may come a little
// early or late.
func TestAPointIsKeptEveryFiveSeconds(t *testing.T) {
	c := newClock()
	n := uint64(0)
	for i := range 61 {
		n += uint64(10 * (i % 2)) // ten every other second
		c.look(time.Second+time.Duration(i%3-1)*30*time.Millisecond, reads(1, n))
	}
	kept, _ := c.Since(0)
	if len(kept) != 13 {
		t.Fatalf("%d points", len(kept))
	}
	for i, p := range kept[1:] {
		if gap := p.At - kept[i].At; gap < 4900 || gap > 5100 || p.ReadsAnswered < 3.5 || p.ReadsAnswered > 6.5 {
			t.Errorf("%d ms after the point before: %+v", gap, p)
		}
	}
	if later, _ := c.Since(kept[9].At); len(later) != 3 || later[0] != kept[10] {
		t.Errorf("%+v", later)
	}
	if none, _ := c.Since(kept[12].At); len(none) != 0 {
		t.Errorf("%+v", none)
	}
}

// The record has an hour, whatever goes on: as many points, and only the processes of the last
// look.
func TestTheRecordIsBounded(t *testing.T) {
	c := newClock()
	for i := range uint64(2 * 3600) {
		c.look(time.Second, reads(i, 1), reads(i+1, 2), reads(i+2, 3))
	}
	kept, _ := c.Since(0)
	if len(kept) != length || cap(c.kept) != length || len(c.second.known) != 3 || len(c.five.known) != 3 {
		t.Errorf("%d points of %d, %d and %d processes", len(kept), cap(c.kept), len(c.second.known), len(c.five.known))
	}
	for i, p := range kept[1:] {
		if p.At-kept[i].At != Every.Milliseconds() {
			t.Fatalf("point %d: %+v after %+v", i+1, p, kept[i])
		}
	}
	if newest := c.now.UnixMilli() - kept[length-1].At; newest >= Every.Milliseconds() {
		t.Errorf("the newest point is %d ms old", newest)
	}
	if size := length * unsafe.Sizeof(Point{}); size > 40<<10 {
		t.Errorf("the record has %d bytes", size)
	}
}

func TestQuantiles(t *testing.T) {
	took := func(counts map[int]float64) (out [len(kv.LatencyBounds) + 1]float64) {
		for i, n := range counts {
			out[i] = n
		}
		return out
	}
	for _, c := range []struct {
		name     string
		took     map[int]float64
		p50, p99 float64
	}{
		{"nothing", nil, -1, -1},
		{"all in the first class", map[int]float64{0: 10}, 25e-6, 49.5e-6},
		{"half and half", map[int]float64{1: 10, 9: 10}, 100e-6, 25e-3 + 25e-3*9.8/10},
		{"the members' quantiles are not averaged", map[int]float64{1: 1, 9: 99}, 25e-3 + 25e-3*49/99, 25e-3 + 25e-3*98/99},
		{"above all bounds", map[int]float64{17: 3}, 60, 60},
	} {
		counts := took(c.took)
		for _, q := range []struct{ q, want float64 }{{0.5, c.p50}, {0.99, c.p99}} {
			if got := float64(quantile(q.q, &counts)); math.Abs(got-q.want) > 1e-6*math.Abs(q.want) {
				t.Errorf("%s: the %v quantile is %v, want %v", c.name, q.q, got, q.want)
			}
		}
	}
}

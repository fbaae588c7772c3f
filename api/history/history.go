package history

import (
	"sync"
	"time"

	"viakv/api/health"
	"viakv/api/kv"
)

// Every is the time between two points of the record.
const Every = 5 * time.Second

// length is how many points the record has: an hour. A point takes 56 bytes, so the record takes 40
// KiB.
const length = 720

// liveEvery is the time between two looks. Each look makes a live point.
const liveEvery = time.Second

// Look is what a node knows at one moment.
type Look struct {
	At        time.Time
	Verdict   health.Level
	Members   int // of the cluster; the one that is joining counts
	Answering int // active members that answer
	Keys      int64
	Bytes     int64
	// Figures are those of the members that have told them of late, this node's own included. They
	// have one entry a process.
	Figures []kv.Figures
}

// Point is what the cluster did in the time before a moment.
type Point struct {
	At int64 // Unix milliseconds

	// Rate is of the requests a second, summed over the members that report. None is known while
	// Reporting is zero.
	Rate

	// P50 and P99 are quantiles of the time that an answered request took, in seconds. They are
	// negative where nothing was answered.
	P50, P99 float32

	Keys, Bytes int64 // on the node that has the record

	Members   uint16
	Reporting uint16 // members whose requests the rates have
	Answering uint16
	Verdict   health.Level
}

// Rate is what was answered and refused a second.
type Rate struct{ ReadsAnswered, ReadsRefused, WritesAnswered, WritesRefused float32 }

// Recorder keeps the record. Its zero value is empty. It is safe for concurrent use.
type Recorder struct {
	mu     sync.Mutex
	second series // of the last look
	five   series // of the last point that was kept
	live   Point
	kept   []Point // a ring: the oldest is at next once it has length points
	next   int
	last   time.Time // when a point was last kept
}

// Observe takes a look, which it does not keep. Looks are to be taken about once a second.
func (r *Recorder) Observe(l *Look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live = r.second.point(l, liveEvery)
	// A look may be early by a moment, and must not be put off to the next one for that.
	if since := l.At.Sub(r.last); since >= 0 && since < Every-liveEvery/2 {
		return
	}
	r.last = l.At
	p := r.five.point(l, Every)
	if r.kept == nil {
		r.kept = make([]Point, 0, length)
	}
	if len(r.kept) < length {
		r.kept = append(r.kept, p)
		return
	}
	r.kept[r.next] = p
	r.next = (r.next + 1) % length
}

// Since returns the points that were kept after a time in Unix milliseconds, the oldest first, and
// the point of the last look. Before the first look that is the zero point.
func (r *Recorder) Since(at int64) (kept []Point, live Point) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.kept {
		if p := &r.kept[(r.next+i)%len(r.kept)]; p.At > at {
			kept = append(kept, *p)
		}
	}
	return kept, r.live
}

// series follows the processes from look to look.
type series struct {
	known map[uint64]progress // by process: those of the last look
}

// progress is what is known of one process.
type progress struct {
	kv.Figures
	rates *rates // over the time before the figures; nil: not known
}

// rates are a process's counts a second.
type rates struct {
	readsAnswered, readsRefused, writesAnswered, writesRefused float64
	took                                                       [len(kv.LatencyBounds) + 1]float64
}

// point returns the point of a look, and remembers the look's figures. A process that is seen for
// the first time, or again after more than three times the usual time, has no rate yet: what it has
// counted may be of any time.
func (s *series) point(l *Look, usual time.Duration) Point {
	p := Point{At: l.At.UnixMilli(), Keys: l.Keys, Bytes: l.Bytes, Members: uint16(l.Members), Answering: uint16(l.Answering), Verdict: l.Verdict}
	var sum rates
	known := make(map[uint64]progress, len(l.Figures))
	for i := range l.Figures {
		is := progress{Figures: l.Figures[i]}
		was, ok := s.known[is.Process]
		switch took := is.At.Sub(was.At); {
		case !ok || took > 3*usual:
		case took <= 0: // nothing new since
			is = was
		default:
			is.rates = difference(&was.Figures, &is.Figures, took.Seconds())
		}
		known[is.Process] = is
		if is.rates != nil {
			sum.add(is.rates)
			p.Reporting++
		}
	}
	s.known = known
	p.Rate = Rate{float32(sum.readsAnswered), float32(sum.readsRefused), float32(sum.writesAnswered), float32(sum.writesRefused)}
	p.P50, p.P99 = quantile(0.5, &sum.took), quantile(0.99, &sum.took)
	return p
}

// difference returns the rates between two figures of one process.
func difference(was, is *kv.Figures, seconds float64) *rates {
	// Two reports may have overtaken each other on their way.
	a := func(was, is uint64) float64 { return float64(is-min(was, is)) / seconds }
	r := &rates{
		readsAnswered: a(was.ReadsAnswered, is.ReadsAnswered), readsRefused: a(was.ReadsRefused, is.ReadsRefused),
		writesAnswered: a(was.WritesAnswered, is.WritesAnswered), writesRefused: a(was.WritesRefused, is.WritesRefused),
	}
	for i := range r.took {
		r.took[i] = a(was.Took[i], is.Took[i])
	}
	return r
}

func (r *rates) add(o *rates) {
	r.readsAnswered += o.readsAnswered
	r.readsRefused += o.readsRefused
	r.writesAnswered += o.writesAnswered
	r.writesRefused += o.writesRefused
	for i := range r.took {
		r.took[i] += o.took[i]
	}
}

// quantile returns a quantile of durations, in seconds. Within a class it interpolates linearly. It
// returns a negative number for no durations, and the highest bound for what lies above.
func quantile(q float64, took *[len(kv.LatencyBounds) + 1]float64) float32 {
	total := 0.0
	for _, n := range took {
		total += n
	}
	if total == 0 {
		return -1
	}
	below, from := 0.0, 0.0
	for i, bound := range kv.LatencyBounds {
		if n := took[i]; n > 0 && below+n >= q*total {
			return float32(from + (bound-from)*(q*total-below)/n)
		}
		below, from = below+took[i], bound
	}
	return float32(from)
}

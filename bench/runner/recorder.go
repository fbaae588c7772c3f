package runner

import (
	"sync"
	"time"

	"viakv/bench/workload"
)

// recorder keeps the counts of a few workers, which share it (R3).
type recorder struct {
	mu    sync.Mutex
	now   *Counts // since the collector's last call
	warm  *Counts // the same, of requests that began in the warm-up
	spare [2]*Counts
}

func newRecorder() *recorder {
	return &recorder{now: NewCounts(), warm: NewCounts(), spare: [2]*Counts{NewCounts(), NewCounts()}}
}

// answer records a request that was answered, and reports whether the answer was good.
func (r *recorder) answer(kind workload.Kind, a Answer, latency time.Duration, warm, mismatch bool) (good bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.now
	if warm {
		c = r.warm
	}
	of := &c.Kinds[kind]
	switch {
	case mismatch:
		c.Errors.Mismatch++
		of.Failed++
		return false
	case a.Outcome == Missing:
		c.Missing++
		of.Missing++
	case a.Outcome == Refused:
		c.Errors.Refused++
		of.Refused++
		c.Status[a.Status]++
		return false
	case a.Outcome == Failed:
		c.Errors.Failed++
		of.Failed++
		c.Status[a.Status]++
		return false
	}
	_ = c.Latency[kind].RecordValue(min(max(latency.Microseconds(), lowest), highest))
	return true
}

func (r *recorder) count(warm bool, change func(*Counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if warm {
		change(r.warm)
	} else {
		change(r.now)
	}
}

// take adds to now and warm what was recorded since the last call.
func (r *recorder) take(now, warm *Counts) {
	r.mu.Lock()
	a, b := r.now, r.warm
	r.now, r.warm = r.spare[0], r.spare[1]
	r.mu.Unlock()
	now.merge(a)
	warm.merge(b)
	a.reset()
	b.reset()
	r.spare = [2]*Counts{a, b} // only the collector uses the spare
}

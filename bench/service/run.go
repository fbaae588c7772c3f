package service

import (
	"cmp"
	"context"
	"sync"
	"time"

	"viakv/bench/report"
	"viakv/bench/runner"
	"viakv/bench/scenario"
)

// runState is the state of a run.
type runState string

// The states of a run.
const (
	stateQueued  runState = "queued"
	stateRunning runState = "running"
	stateDone    runState = "done"    // there is a report
	stateFailed  runState = "failed"  // it could not be run, or its report could not be kept
	stateStopped runState = "stopped" // stopped in the queue, or before there was a report
)

// ended reports whether no other state follows.
func (s runState) ended() bool { return s != stateQueued && s != stateRunning }

// progress is the progress of a phase of a run.
type progress struct {
	Phase string `json:"phase"`
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
}

// job is a run that waits, is running, or has ended since the service started.
type job struct {
	id   string
	spec scenario.Spec

	cancel context.CancelFunc // of a running one
	ctx    context.Context

	mu       sync.Mutex
	state    runState
	started  time.Time
	ended    time.Time
	samples  []runner.Sample
	log      []string
	dropped  int // lines that were removed from the log
	progress progress
	fault    string
	verdict  string        // passed or failed; empty: there is no report
	reason   string        // why it did not pass
	whole    *whole        // nil: there is no report, or it has no load
	changed  chan struct{} // closed at each change
}

const (
	maxLog     = 2000  // lines kept; older lines are removed
	maxSamples = 86400 // of a day
)

func newJob(id string, s scenario.Spec) *job {
	j := &job{id: id, spec: s, state: stateQueued, changed: make(chan struct{})}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	return j
}

// change changes the run and wakes all watchers.
func (j *job) change(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *job) events() scenario.Events {
	return scenario.Events{
		Sample: func(s runner.Sample) {
			j.change(func() {
				if len(j.samples) < maxSamples {
					j.samples = append(j.samples, s)
				}
			})
		},
		Log: j.logLine,
		Progress: func(phase string, done, total uint64) {
			j.change(func() { j.progress = progress{phase, done, total} })
		},
	}
}

func (j *job) logLine(line string) {
	j.change(func() {
		if len(j.log) == maxLog {
			j.log, j.dropped = append(j.log[:0], j.log[maxLog/4:]...), j.dropped+maxLog/4
		}
		j.log = append(j.log, line)
	})
}

// whole is what a run measured in all, as the page shows it when the run is over. It has the
// numbers of the report, because percentiles of seconds cannot be averaged.
type whole struct {
	Rate        float64 `json:"rate"` // answered requests a second
	P50         int64   `json:"p50"`  // microseconds, of answered requests
	P99         int64   `json:"p99"`
	Max         int64   `json:"max"`
	Open        bool    `json:"open"`
	Requests    int64   `json:"requests"` // that were due
	Lookups     int64   `json:"lookups"`  // answered requests that can find no key
	Missing     int64   `json:"missing"`
	Refused     int64   `json:"refused"`
	Failed      int64   `json:"failed"`
	Dropped     int64   `json:"dropped"`
	Unconnected int64   `json:"unconnected"`
}

// reported takes the verdict and the numbers of a run's report.
func (j *job) reported(r *report.Report) {
	l := r.Load
	if l == nil && r.Beside != nil {
		l = r.Beside.During
	}
	j.change(func() {
		j.verdict, j.reason = r.Verdict(), r.Reason
		if l != nil {
			j.whole = &whole{
				Rate: l.Throughput, P50: l.Latency.P50, P99: l.Latency.P99, Max: l.Latency.Max, Open: l.Open, Requests: l.Requests(), Lookups: l.Lookups(),
				Missing: l.Missing, Refused: l.Errors.Refused, Failed: l.Errors.Failures(), Dropped: l.Dropped, Unconnected: l.Errors.Connect,
			}
		}
	})
}

// view is a run as the page shows it, from some position on.
type view struct {
	ID       string          `json:"id"`
	Title    string          `json:"title"`
	Scenario string          `json:"scenario"`
	State    runState        `json:"state"`
	Started  time.Time       `json:"started,omitzero"`
	Seconds  float64         `json:"seconds"`
	Planned  float64         `json:"planned"` // seconds that the run is meant to take; 0: not known
	Samples  []runner.Sample `json:"samples,omitempty"`
	Log      []string        `json:"log,omitempty"`
	Progress progress        `json:"progress"`
	Fault    string          `json:"fault,omitempty"`
	Verdict  string          `json:"verdict,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	Whole    *whole          `json:"whole,omitempty"`
}

// position is a place in a run's samples and log.
type position struct{ samples, log int }

// look returns the run from a position on, the position after it, and a channel that is closed at
// the next change.
func (j *job) look(from position) (view, position, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := view{ID: j.id, Title: cmp.Or(j.spec.Title, j.spec.Scenario), Scenario: j.spec.Scenario, State: j.state, Started: j.started, Progress: j.progress, Fault: j.fault, Planned: planned(j.spec),
		Verdict: j.verdict, Reason: j.reason, Whole: j.whole}
	if !j.started.IsZero() {
		end := j.ended
		if end.IsZero() {
			end = time.Now()
		}
		v.Seconds = end.Sub(j.started).Seconds()
	}
	if from.samples < len(j.samples) {
		v.Samples = append(v.Samples, j.samples[from.samples:]...)
	}
	if at := max(from.log-j.dropped, 0); at < len(j.log) {
		v.Log = append(v.Log, j.log[at:]...)
	}
	return v, position{len(j.samples), j.dropped + len(j.log)}, j.changed
}

// planned returns how long a run is meant to take, in seconds; 0: not known.
func planned(s scenario.Spec) float64 {
	switch s.Scenario {
	case "run":
		rounds := max(s.Baseline, 1)
		total := time.Duration(s.Duration) + time.Duration(rounds)*time.Duration(s.Warmup+s.Ramp)
		if s.Baseline > 0 {
			total *= 2
		}
		return total.Seconds()
	case "check", "chaos":
		return time.Duration(s.Duration).Seconds()
	}
	return 0
}

func (j *job) current() runState {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state
}

// summary is a kept report as lists show it.
type summary struct {
	ID         string    `json:"id"`
	Title      string    `json:"title"`
	Scenario   string    `json:"scenario"`
	Started    time.Time `json:"started"`
	Seconds    float64   `json:"seconds"`
	Passed     bool      `json:"passed"`
	Reason     string    `json:"reason,omitempty"`
	Throughput float64   `json:"throughput,omitempty"`
	P99        int64     `json:"p99,omitempty"`
	Missing    int64     `json:"missing,omitempty"`
	Refused    int64     `json:"refused,omitempty"`
	Failed     int64     `json:"failed,omitempty"`
	Dropped    int64     `json:"dropped,omitempty"`
	Ratio      float64   `json:"ratio,omitempty"`
	Note       string    `json:"note,omitempty"`
	Comparable bool      `json:"comparable"`
}

func summarise(id string, r *report.Report) summary {
	s := summary{ID: id, Title: r.Title, Scenario: r.Scenario, Started: r.Started, Seconds: r.Seconds, Passed: r.Passed, Reason: r.Reason}
	if l := r.Load; l != nil {
		s.Throughput, s.P99, s.Comparable = l.Throughput, l.Latency.P99, true
		s.Missing, s.Refused, s.Failed, s.Dropped = l.Missing, l.Errors.Refused, l.Errors.Failures(), l.Dropped
	}
	if r.Baseline != nil {
		s.Ratio = r.Baseline.Ratio
	}
	switch {
	case r.Check != nil:
		s.Note = report.Count(r.Check.Legal) + " of " + report.Count(r.Check.Keys) + " keys linearizable"
	case len(r.Scans) > 0:
		s.Note = report.Count(r.Scans[0].Pairs) + " pairs scanned"
	}
	return s
}

package service

import (
	"context"
	"sync"
	"time"

	"viakv/bench/report"
	"viakv/bench/runner"
	"viakv/bench/scenario"
)

// State is the state of a run.
type State string

// The states of a run.
const (
	Queued  State = "queued"
	Running State = "running"
	Done    State = "done"    // there is a report
	Failed  State = "failed"  // it could not be run, or its report could not be kept
	Stopped State = "stopped" // stopped in the queue, or before there was a report
)

// Progress is the progress of a phase of a run.
type Progress struct {
	Phase string `json:"phase"`
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
}

// Run is a run that waits, is running, or has ended since the service started.
type Run struct {
	ID   string
	Spec scenario.Spec

	cancel context.CancelFunc // of a running one
	ctx    context.Context

	mu       sync.Mutex
	state    State
	started  time.Time
	ended    time.Time
	samples  []runner.Sample
	log      []string
	dropped  int // lines that were removed from the log
	progress Progress
	fault    string
	changed  chan struct{} // closed at each change
}

const (
	maxLog     = 2000  // lines kept; older lines are removed
	maxSamples = 86400 // of a day
)

func newRun(id string, s scenario.Spec) *Run {
	r := &Run{ID: id, Spec: s, state: Queued, changed: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// change changes the run and wakes all watchers.
func (r *Run) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Run) events() scenario.Events {
	return scenario.Events{
		Sample: func(s runner.Sample) {
			r.change(func() {
				if len(r.samples) < maxSamples {
					r.samples = append(r.samples, s)
				}
			})
		},
		Log: r.logLine,
		Progress: func(phase string, done, total uint64) {
			r.change(func() { r.progress = Progress{phase, done, total} })
		},
	}
}

func (r *Run) logLine(line string) {
	r.change(func() {
		if len(r.log) == maxLog {
			r.log, r.dropped = append(r.log[:0], r.log[maxLog/4:]...), r.dropped+maxLog/4
		}
		r.log = append(r.log, line)
	})
}

// view is a run as the page shows it, from some position on.
type view struct {
	ID       string          `json:"id"`
	Title    string          `json:"title"`
	Scenario string          `json:"scenario"`
	State    State           `json:"state"`
	Started  time.Time       `json:"started,omitzero"`
	Seconds  float64         `json:"seconds"`
	Planned  float64         `json:"planned"` // seconds that the run is meant to take; 0: not known
	Samples  []runner.Sample `json:"samples,omitempty"`
	Log      []string        `json:"log,omitempty"`
	Progress Progress        `json:"progress"`
	Fault    string          `json:"fault,omitempty"`
}

// position is a place in a run's samples and log.
type position struct{ samples, log int }

// look returns the run from a position on, the position after it, and a channel that is closed at
// the next change.
func (r *Run) look(from position) (view, position, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := view{ID: r.ID, Title: r.title(), Scenario: r.Spec.Scenario, State: r.state, Started: r.started, Progress: r.progress, Fault: r.fault, Planned: planned(r.Spec)}
	if !r.started.IsZero() {
		end := r.ended
		if end.IsZero() {
			end = time.Now()
		}
		v.Seconds = end.Sub(r.started).Seconds()
	}
	if from.samples < len(r.samples) {
		v.Samples = append(v.Samples, r.samples[from.samples:]...)
	}
	if at := max(from.log-r.dropped, 0); at < len(r.log) {
		v.Log = append(v.Log, r.log[at:]...)
	}
	return v, position{len(r.samples), r.dropped + len(r.log)}, r.changed
}

func (r *Run) title() string {
	if r.Spec.Title != "" {
		return r.Spec.Title
	}
	return r.Spec.Scenario
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

func (r *Run) finished() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state != Queued && r.state != Running
}

// Summary is a kept report as lists show it.
type Summary struct {
	ID         string    `json:"id"`
	Title      string    `json:"title"`
	Scenario   string    `json:"scenario"`
	Started    time.Time `json:"started"`
	Seconds    float64   `json:"seconds"`
	Passed     bool      `json:"passed"`
	Reason     string    `json:"reason,omitempty"`
	Throughput float64   `json:"throughput,omitempty"`
	P99        int64     `json:"p99,omitempty"`
	Ratio      float64   `json:"ratio,omitempty"`
	Note       string    `json:"note,omitempty"`
	Comparable bool      `json:"comparable"`
}

func summarise(id string, r *report.Report) Summary {
	s := Summary{ID: id, Title: r.Title, Scenario: r.Scenario, Started: r.Started, Seconds: r.Seconds, Passed: r.Passed, Reason: r.Reason}
	if r.Load != nil {
		s.Throughput, s.P99, s.Comparable = r.Load.Throughput, r.Load.Latency.P99, true
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

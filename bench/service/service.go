package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"viakv/bench"
	"viakv/bench/scenario"
)

// Config configures a Service.
type Config struct {
	// Dir is the directory that keeps the reports. Required.
	Dir string
	// Targets are the targets that the page proposes. Empty: none.
	Targets []string
	// AllowRemote permits targets on other machines. False: none.
	AllowRemote bool
	// Token is sent to targets. The page neither sees nor sets it. Empty: none.
	Token string
	// Tools are programs that scenarios start.
	Tools scenario.Tools
	// Hosts are names by which browsers may reach the service beside loopback names, as in
	// "bench.example.com". See V4. Empty: no other names.
	Hosts []string
	// MaxQueue is how many runs may wait. Zero: 20.
	MaxQueue int
	// MaxDuration is the longest measured part of a run. Zero: 1 h.
	MaxDuration time.Duration
}

// Service runs one scenario after another.
type Service struct {
	config  Config
	archive *archive

	mu sync.Mutex
	// The runs that wait and that run, in order, and those that have ended lately.
	runs    []*Run
	numbers int
	wake    chan struct{} // gets a value when a run was queued
	changed chan struct{} // closed when the list changes
}

// maxEnded is how many ended runs are remembered with their log. Their reports stay in the archive.
const maxEnded = 20

// The errors of the queue.
var (
	errFull   = errors.New("the queue is full: wait for a run to end, or stop one")
	errNoRun  = errors.New("there is no such run")
	errClosed = errors.New("the service is stopping")
)

// New opens the directory and makes a service. It starts nothing.
func New(c Config) (*Service, error) {
	if c.Dir == "" {
		return nil, errors.New("service: Dir is missing: name a directory for the reports")
	}
	if c.MaxQueue == 0 {
		c.MaxQueue = 20
	}
	if c.MaxDuration == 0 {
		c.MaxDuration = time.Hour
	}
	a, err := openArchive(c.Dir)
	if err != nil {
		return nil, err
	}
	return &Service{config: c, archive: a, wake: make(chan struct{}, 1), changed: make(chan struct{})}, nil
}

// Run runs what is queued until ctx ends. Then it stops the current run and keeps its report as far
// as it has come.
func (s *Service) Run(ctx context.Context) {
	for {
		if r := s.next(); r != nil {
			s.execute(ctx, r)
			continue
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Service) next() *Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		r.mu.Lock()
		queued := r.state == Queued
		r.mu.Unlock()
		if queued {
			return r
		}
	}
	return nil
}

func (s *Service) execute(ctx context.Context, r *Run) {
	if ctx.Err() != nil {
		s.end(r, Failed, errClosed)
		return
	}
	defer context.AfterFunc(ctx, r.cancel)()
	r.change(func() { r.state, r.started = Running, time.Now() })
	s.notify()
	rep, err := scenario.Run(r.ctx, r.Spec, s.config.Tools, r.events())
	if err == nil {
		err = s.archive.keep(r.ID, rep)
	}
	switch {
	case err == nil:
		s.end(r, Done, nil)
	case r.ctx.Err() != nil:
		s.end(r, Stopped, err)
	default:
		s.end(r, Failed, err)
	}
}

func (s *Service) end(r *Run, state State, err error) {
	r.change(func() {
		r.state, r.ended = state, time.Now()
		if err != nil {
			r.fault = err.Error()
		}
	})
	r.cancel()
	s.mu.Lock()
	ended := 0
	for i := len(s.runs) - 1; i >= 0; i-- {
		if s.runs[i].finished() {
			if ended++; ended > maxEnded {
				s.runs = slices.Delete(s.runs, i, i+1)
			}
		}
	}
	s.mu.Unlock()
	s.notify()
}

// notify wakes all watchers of the list.
func (s *Service) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Submit checks a scenario and queues it (V1, V3).
func (s *Service) Submit(ctx context.Context, spec scenario.Spec) (*Run, error) {
	spec.Token, spec.AllowRemote = s.config.Token, s.config.AllowRemote
	spec.Binary, spec.LogDir, spec.CAFile, spec.Against = "", "", "", nil
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if longest := scenario.Duration(s.config.MaxDuration); spec.Duration > longest {
		return nil, fmt.Errorf("duration: this service runs for %v at most", s.config.MaxDuration)
	}
	if spec.Scenario != "chaos" && !spec.AllowRemote {
		for _, t := range spec.Targets {
			if err := bench.Loopback(ctx, t); err != nil {
				return nil, err
			}
		}
	}
	s.mu.Lock()
	waiting := 0
	for _, r := range s.runs {
		if !r.finished() {
			waiting++
		}
	}
	if waiting > s.config.MaxQueue {
		s.mu.Unlock()
		return nil, errFull
	}
	s.numbers++
	r := newRun(fmt.Sprintf("%s-%s-%d", spec.Scenario, time.Now().UTC().Format("20060102-150405"), s.numbers), spec)
	s.runs = append(s.runs, r)
	s.mu.Unlock()
	s.notify()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return r, nil
}

// Stop ends a run. A running one keeps its report as far as it has come; a waiting one is taken out
// of the queue.
func (s *Service) Stop(id string) error {
	r := s.find(id)
	if r == nil {
		return errNoRun
	}
	r.mu.Lock()
	queued := r.state == Queued
	r.mu.Unlock()
	r.cancel()
	if queued {
		s.end(r, Stopped, nil)
	}
	return nil
}

func (s *Service) find(id string) *Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.runs, func(r *Run) bool { return r.ID == id }); i >= 0 {
		return s.runs[i]
	}
	return nil
}

// list returns the runs as the page lists them: the newest first, without samples and logs.
func (s *Service) list() ([]view, <-chan struct{}) {
	s.mu.Lock()
	runs, changed := slices.Clone(s.runs), s.changed
	s.mu.Unlock()
	views := []view{}
	for _, r := range slices.Backward(runs) {
		v, _, _ := r.look(position{1 << 30, 1 << 30})
		views = append(views, v)
	}
	return views, changed
}

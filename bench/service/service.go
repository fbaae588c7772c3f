package service

import (
	"cmp"
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
	runs    []*job
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
	c.MaxQueue, c.MaxDuration = cmp.Or(c.MaxQueue, 20), cmp.Or(c.MaxDuration, time.Hour)
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
		if j := s.next(); j != nil {
			s.execute(ctx, j)
			continue
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Service) next() *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.runs {
		if j.current() == stateQueued {
			return j
		}
	}
	return nil
}

func (s *Service) execute(ctx context.Context, j *job) {
	if ctx.Err() != nil {
		s.end(j, stateFailed, errClosed)
		return
	}
	defer context.AfterFunc(ctx, j.cancel)()
	j.change(func() { j.state, j.started = stateRunning, time.Now() })
	s.notify()
	rep, err := scenario.Run(j.ctx, j.spec, s.config.Tools, j.events())
	if err == nil {
		j.reported(rep)
		err = s.archive.keep(j.id, rep)
	}
	switch {
	case err == nil:
		s.end(j, stateDone, nil)
	case j.ctx.Err() != nil:
		s.end(j, stateStopped, err)
	default:
		s.end(j, stateFailed, err)
	}
}

func (s *Service) end(j *job, state runState, err error) {
	j.change(func() {
		j.state, j.ended = state, time.Now()
		if err != nil {
			j.fault = err.Error()
		}
	})
	j.cancel()
	s.mu.Lock()
	ended := 0
	for i := len(s.runs) - 1; i >= 0; i-- {
		if s.runs[i].current().ended() {
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

// enqueue checks a scenario and queues it (V1, V3).
func (s *Service) enqueue(ctx context.Context, spec scenario.Spec) (*job, error) {
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
	for _, j := range s.runs {
		if !j.current().ended() {
			waiting++
		}
	}
	if waiting > s.config.MaxQueue {
		s.mu.Unlock()
		return nil, errFull
	}
	s.numbers++
	j := newJob(fmt.Sprintf("%s-%s-%d", spec.Scenario, time.Now().UTC().Format("20060102-150405"), s.numbers), spec)
	s.runs = append(s.runs, j)
	s.mu.Unlock()
	s.notify()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return j, nil
}

// cancel ends a run. A running one keeps its report as far as it has come; a waiting one is taken
// out of the queue.
func (s *Service) cancel(id string) error {
	j := s.find(id)
	if j == nil {
		return errNoRun
	}
	queued := j.current() == stateQueued
	j.cancel()
	if queued {
		s.end(j, stateStopped, nil)
	}
	return nil
}

func (s *Service) find(id string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.runs, func(j *job) bool { return j.id == id }); i >= 0 {
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
	for _, j := range slices.Backward(runs) {
		v, _, _ := j.look(position{1 << 30, 1 << 30})
		views = append(views, v)
	}
	return views, changed
}

package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"viakv/bench/report"
	"viakv/bench/runner"
	"viakv/bench/scenario"
	"viakv/cmd/cliutil"
)

// screen shows the progress of a run: lines on the output, a bar on the status stream.
type screen struct {
	mu      sync.Mutex
	out     io.Writer
	status  io.Writer
	phase   string
	bar     *cliutil.Bar // nil: no phase is running
	began   time.Time    // when the phase began
	told    time.Time    // when a line last told its progress
	samples int
}

func (s *screen) events() scenario.Events {
	return scenario.Events{Sample: s.sample, Log: s.log, Progress: s.progress}
}

const headerEvery = 25 // lines

func (s *screen) sample(v runner.Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil { // a load shows its bar instead of samples
		return
	}
	if s.samples%headerEvery == 0 {
		fmt.Fprintln(s.out, report.SampleHeader)
	}
	s.samples++
	fmt.Fprintln(s.out, report.SampleLine(v))
}

func (s *screen) log(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearBar()
	fmt.Fprintln(s.out, line)
}

// plainEvery is how often a line tells the progress where no bar can be drawn.
const plainEvery = 5 * time.Second

func (s *screen) progress(phase string, done, total uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if phase != s.phase {
		s.clearBar()
		s.phase, s.began, s.told = phase, now, now
		s.bar = cliutil.NewBar(s.status, phase, "keys", int64(max(total, 1)))
	}
	s.bar.Set(int64(min(done, max(total, 1))))
	if !s.bar.Shown() && done > 0 && now.Sub(s.told) >= plainEvery {
		s.told = now
		took := now.Sub(s.began).Seconds()
		left := took / float64(done) * float64(max(total, done)-done)
		fmt.Fprintf(s.status, "%s: %s of %s, %s/s, %.0f s left\n", phase, report.Count(done), report.Count(total), report.Count(uint64(float64(done)/took)), left)
	}
}

func (s *screen) clearBar() {
	if s.bar != nil {
		s.bar.End()
		s.bar, s.phase = nil, ""
	}
}

func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearBar()
}

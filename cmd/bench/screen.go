package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"viakv/bench/report"
	"viakv/bench/runner"
	"viakv/bench/scenario"
)

// screen shows a run while it goes on: lines on the output, a bar on the status stream.
type screen struct {
	mu      sync.Mutex
	out     io.Writer
	status  io.Writer
	rich    bool // the status stream is a terminal
	phase   string
	bar     *progressbar.ProgressBar
	told    time.Time
	samples int
}

func newScreen(out, status io.Writer) *screen {
	s := &screen{out: out, status: status}
	if f, ok := status.(*os.File); ok {
		s.rich = term.IsTerminal(int(f.Fd()))
	}
	return s
}

func (s *screen) events() scenario.Events {
	return scenario.Events{Sample: s.sample, Log: s.log, Progress: s.progress}
}

const headerEvery = 25 // lines

func (s *screen) sample(v runner.Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil { // a load shows its bar, not a line a second
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

// plainEvery is how often progress is told where no bar can be drawn.
const plainEvery = 5 * time.Second

func (s *screen) progress(phase string, done, total uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if phase != s.phase {
		s.clearBar()
		s.phase, s.told = phase, time.Now()
		s.bar = progressbar.NewOptions64(int64(max(total, 1)),
			progressbar.OptionSetDescription(phase), progressbar.OptionSetWriter(s.barWriter()), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("keys"), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(30), progressbar.OptionUseANSICodes(s.rich))
	}
	_ = s.bar.Set64(int64(min(done, max(total, 1))))
	if !s.rich && time.Since(s.told) >= plainEvery {
		s.told = time.Now()
		state := s.bar.State()
		fmt.Fprintf(s.status, "%s: %s of %s, %s/s, %.0f s left\n", phase, report.Count(done), report.Count(total), report.Count(int64(state.KBsPerSecond*1024)), state.SecondsLeft)
	}
}

func (s *screen) barWriter() io.Writer {
	if s.rich {
		return s.status
	}
	return io.Discard
}

func (s *screen) clearBar() {
	if s.bar != nil {
		_ = s.bar.Clear()
		s.bar, s.phase = nil, ""
	}
}

func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearBar()
}

package serve

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// reader reads a log. It may stop, be gone, or take only a part.
type reader struct {
	mu    sync.Mutex
	fault error
	part  int           // how much it takes of a line that meets a fault
	gate  chan struct{} // not nil: it takes nothing until gate is closed
	got   bytes.Buffer
}

func (r *reader) set(fault error, gate chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault, r.gate = fault, gate
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	gate := r.gate
	r.mu.Unlock()
	if gate != nil {
		<-gate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != nil {
		n := min(r.part, len(p))
		r.got.Write(p[:n])
		return n, r.fault
	}
	return r.got.Write(p)
}

func (r *reader) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

func line(i int) []byte { return fmt.Appendf(nil, "line %d\n", i) }

// TestALogThatNobodyReadsHoldsNobodyUp checks that a reader that stops does not hold up the writer.
// The reader gets the waiting lines when it continues; the others are counted, and the log says so.
func TestALogThatNobodyReadsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, gate := &reader{}, make(chan struct{})
		r.set(nil, gate)
		o := newLogOutput(r)
		o.notice = func(lost uint64) { _, _ = fmt.Fprintf(o, "lost %d\n", lost) }
		began := time.Now()
		const n = 2 * logLines
		for i := range n {
			if k, err := o.Write(line(i)); k != len(line(i)) || err != nil {
				t.Fatal(k, err)
			}
			if i == 0 {
				synctest.Wait() // the first line is being written
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("writing took %v", took)
		}
		lost := o.lost.Load()
		if want := uint64(n - logLines - 1); lost != want {
			t.Errorf("%d lines are lost, want %d", lost, want)
		}
		if err := o.Sync(); err == nil || time.Since(began) != flushTime {
			t.Errorf("Sync: %v after %v", err, time.Since(began))
		}
		close(gate)
		synctest.Wait()
		if err := o.Sync(); err != nil {
			t.Error(err)
		}
		lines := strings.Split(strings.TrimSpace(r.text()), "\n")
		if len(lines) != logLines+2 || lines[0] != "line 0" || lines[logLines] != fmt.Sprintf("line %d", logLines) {
			t.Errorf("%d lines, from %q", len(lines), lines[0])
		}
		if want := fmt.Sprintf("lost %d", lost); lines[len(lines)-1] != want {
			t.Errorf("the last line is %q, want %q", lines[len(lines)-1], want)
		}
		o.close()
	})
}

// TestALogThatCannotBeWritten checks that only the line that cannot be written is lost: half a line
// does not spoil the next one.
func TestALogThatCannotBeWritten(t *testing.T) {
	for _, fault := range []error{syscall.EPIPE, syscall.ENOSPC, syscall.EFBIG, errors.New("another")} {
		r := &reader{part: 3}
		o := newLogOutput(r)
		write := func(i int) {
			_, _ = o.Write(line(i))
			if err := o.Sync(); err != nil {
				t.Error(err)
			}
		}
		write(0)
		r.set(fault, nil)
		write(1)
		r.set(nil, nil)
		write(2)
		o.close()
		if got, want := r.text(), "line 0\nlin\nline 2\n"; got != want || o.lost.Load() != 1 {
			t.Errorf("%v: %q, want %q; %d lost", fault, got, want, o.lost.Load())
		}
	}
}

// TestTheLogsEnd checks that the waiting lines are written at the end, unless the reader takes
// none.
func TestTheLogsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{}
		o := newLogOutput(r)
		for i := range 100 {
			_, _ = o.Write(line(i))
		}
		o.close()
		if n := strings.Count(r.text(), "\n"); n != 100 {
			t.Errorf("%d lines of 100 are written", n)
		}
		gate := make(chan struct{})
		r.set(nil, gate)
		o = newLogOutput(r)
		_, _ = o.Write(line(0))
		began := time.Now()
		o.close()
		if took := time.Since(began); took != flushTime {
			t.Errorf("the end took %v", took)
		}
		close(gate)
		<-o.ended
	})
}

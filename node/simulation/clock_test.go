package simulation

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"
)

// clock is the clock by which a process measures leases. It goes at a rate of its own, which
// differs from those of others by less than a tenth (package lease), from where it stood when the
// process began.
type clock struct {
	stalls bool

	mu    sync.Mutex
	r     *rand.Rand
	usual float64 // rate
	rate  float64
	since time.Time     // the last change
	then  time.Duration // what it showed
}

// newClock returns a clock. With stalls, a thread that has looked at it may stall for a while,
// before it does what it has looked for.
func newClock(r *rand.Rand, stalls bool) *clock {
	rate := 0.95 + r.Float64()*0.095
	return &clock{
		stalls: stalls, r: r, usual: rate, rate: rate,
		since: time.Now(), then: time.Duration(r.Int64N(int64(time.Hour))),
	}
}

// read is a lease.Clock.
func (c *clock) read() time.Duration {
	shown, stall := c.look()
	// Only a thread that holds no lock may stall: virtual time stands still while a goroutine waits
	// for a lock.
	if stall > 0 && calledBy("lease.(*Held).Alone") {
		time.Sleep(stall)
	}
	return shown
}

func (c *clock) look() (shown, stall time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stalls && c.r.IntN(150) == 0 {
		stall = time.Duration(1+c.r.IntN(300)) * time.Millisecond
	}
	return c.shownLocked(), stall
}

func (c *clock) shownLocked() time.Duration {
	return c.then + time.Duration(float64(time.Since(c.since))*c.rate)
}

// run makes the clock go at a rate for some time, and returns after that time.
func (c *clock) run(rate float64, d time.Duration) {
	c.setRate(rate)
	time.Sleep(d)
	c.setRate(c.usual)
}

func (c *clock) setRate(rate float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.then, c.since, c.rate = c.shownLocked(), time.Now(), rate
}

// jump sets the clock forward, or back.
func (c *clock) jump(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.then += by
}

// calledBy reports whether a function whose name ends so is among the callers of read.
func calledBy(name string) bool {
	var callers [4]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, name) {
			return true
		}
		if !more {
			return false
		}
	}
}

// leases describes of how much use leases were to the processes that run now.
func (c *cluster) leases() string {
	var reads, alone, writes, oneRound uint64
	for _, p := range c.running() {
		s := p.node.Stats().Coordinator
		reads, alone, writes, oneRound = reads+s.Reads, alone+s.Local, writes+s.Writes, oneRound+s.OneRound
	}
	return fmt.Sprintf("%d of %d gets alone, %d of %d sets in one round", alone, reads, oneRound, writes)
}

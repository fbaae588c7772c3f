package runner

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"viakv/bench/workload"
)

// run is what the workers of one run share.
type run struct {
	Config
	start    time.Time // of the run
	measured time.Time // start of the measured part, after ramp and warm-up
	end      time.Time // no request starts after this time
	arrivals *arrivals // nil: closed loop
	ctx      context.Context
}

const maxRecorders = 16

// Run sends load until its time is over, its sources are empty, or ctx ends. That ctx ends is no
// error: the result says so. Run fails when the configuration is wrong, or when no connection can
// be made at the start.
func Run(ctx context.Context, c Config) (*Result, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	first, err := c.dialAll(ctx)
	if err != nil {
		return nil, err
	}
	stopping, stop := context.WithCancel(ctx)
	defer stop()
	// A few workers share a recorder, because the collector merges all recorders each second.
	// They are megabytes of histograms, so they are made before the time begins to count.
	recorders := make([]*recorder, min(c.Connections, maxRecorders))
	for i := range recorders {
		recorders[i] = newRecorder()
	}
	r := &run{Config: c, start: time.Now(), ctx: stopping}
	r.measured = r.start.Add(c.Ramp + c.Warmup)
	r.end = r.start.Add(MaxDuration)
	if c.Duration > 0 {
		r.end = r.measured.Add(c.Duration)
	}
	if c.Rate > 0 {
		r.arrivals = newArrivals(c.Rate, c.Poisson, c.Ramp, r.end.Sub(r.start), c.Seed)
	}
	col := newCollector(recorders, r.arrivals, r.start, c.OnSample)
	var stopped atomic.Int64 // when ctx ended, since the start; 0: it has not
	defer context.AfterFunc(ctx, func() { stopped.Store(int64(time.Since(r.start))) })()
	var workers sync.WaitGroup
	for i := range c.Connections {
		w := &worker{run: r, id: i, target: c.Targets[i%len(c.Targets)], recorder: recorders[i%len(recorders)], source: c.Sources(i), connection: first[i]}
		workers.Go(w.work)
	}
	ended := make(chan struct{})
	go func() {
		workers.Wait()
		close(ended)
	}()
	// Collect until the workers have ended, then sum up.
	cpu := r.observe(col, ended)
	now := time.Now()
	result := &Result{
		Counts: *col.total, Started: r.start, Samples: col.samples, CPU: cpu, Open: c.Rate > 0, Rate: c.Rate, connections: c.Connections,
		Elapsed: max(min(now.Sub(r.measured), r.end.Sub(r.measured)), 0),
	}
	if ctx.Err() != nil {
		result.Incomplete = "stopped after " + now.Sub(r.start).Round(time.Second).String()
	}
	if r.arrivals != nil {
		// The run ended when its time was over, when ctx ended, or now that its sources are empty.
		until := min(now.Sub(r.start), r.end.Sub(r.start))
		if at := stopped.Load(); at > 0 {
			until = min(until, time.Duration(at))
		}
		result.Dropped += r.arrivals.left(until)
	}
	return result, nil
}

// observe collects once a second until all workers have ended. It returns this process's CPU time
// in the measured part.
func (r *run) observe(c *collector, ended <-chan struct{}) time.Duration {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	warmed := time.NewTimer(time.Until(r.measured))
	defer warmed.Stop()
	cpu := cpuTime()
	warm := r.measured.After(r.start)
	for {
		select {
		// The first measured second begins here, not at the next tick.
		case now := <-warmed.C:
			if warm {
				c.collect(now, true)
				tick.Reset(time.Second)
			}
			warm, cpu = false, cpuTime()
		case now := <-tick.C:
			c.collect(now, warm)
		case <-ended:
			c.collect(time.Now(), warm)
			return cpuTime() - cpu
		}
	}
}

// dialAll opens the connections of all workers before the measurement. A wrong address is then an
// error of the run and no part of its result.
func (c *Config) dialAll(ctx context.Context) ([]Connection, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	open := make([]Connection, c.Connections)
	errs := make([]error, c.Connections)
	var dialling sync.WaitGroup
	limit := make(chan struct{}, 64)
	for i := range open {
		dialling.Go(func() {
			limit <- struct{}{}
			open[i], errs[i] = c.Targets[i%len(c.Targets)].Connect(ctx)
			<-limit
		})
	}
	dialling.Wait()
	failed := 0
	for _, err := range errs {
		if err != nil {
			failed++
		}
	}
	if failed < len(open) {
		// Some targets may be down. That is a part of what is measured (B5).
		return open, nil
	}
	return nil, fmt.Errorf("no connection could be made: %w", errs[0])
}

// warm reports whether a request that begins at that time belongs to the warm-up.
func (r *run) warm(begin time.Time) bool { return begin.Before(r.measured) }

// stopped reports whether no request may start any more.
func (r *run) stopped(now time.Time) bool { return r.ctx.Err() != nil || !now.Before(r.end) }

// delay returns how long after the start a worker of a closed loop begins: the workers begin one
// after another over the ramp.
func (r *run) delay(id int) time.Duration {
	if r.arrivals != nil {
		return 0
	}
	return r.Ramp * time.Duration(id) / time.Duration(r.Connections)
}

// sent is a request in flight.
type sent struct {
	op    workload.Op
	begin time.Time // the intended time, in an open loop
}

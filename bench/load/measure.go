package load

import (
	"cmp"
	"context"
	"sync"
	"time"

	"viakv/api/client"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// ScanConfig describes a measurement of scans.
type ScanConfig struct {
	ScanOptions
	Client *client.Client
	Kinds  []client.Kind
	Rounds int // of each kind. Zero: 1

	// Baseline is a bare server that is scanned in turns with the target, so that other load on the
	// machine affects both. Nil: none.
	Baseline *client.Client

	// Load is an open loop that runs beside the scans, to show what the scans do to other requests.
	// Measure sets its duration. Nil: none.
	Load *runner.Config
	// OnScan is called after each scan. Nil: not called.
	OnScan func(*Verified)

	quiet time.Duration // how long the load runs before the scans, without them. Zero: 3 s
}

// Measured is the result of a measurement of scans.
type Measured struct {
	Scans []*Verified
	// Baseline has the bare server's scan for each one in Scans. Nil: no baseline.
	Baseline []*Verified
	Quiet    *runner.Result // the load without scans. Nil: no load
	During   *runner.Result // the load while the scans ran. Nil: no load
}

// maxLoadTime bounds the load beside the scans. The end of the scans ends it earlier.
const maxLoadTime = time.Hour

// Measure scans once for each kind and round. If there is a load, it runs meanwhile.
func Measure(ctx context.Context, c ScanConfig) (*Measured, error) {
	m := new(Measured)
	finish := func() error { return nil }
	if c.Load != nil {
		// First the load without scans, then the load that runs beside them.
		quiet := *c.Load
		quiet.Warmup, quiet.Duration = time.Second, cmp.Or(c.quiet, 3*time.Second)
		var err error
		if m.Quiet, err = runner.Run(ctx, quiet); err != nil {
			return nil, err
		}
		loaded, stop := context.WithCancel(ctx)
		defer stop()
		during := *c.Load
		during.Warmup, during.Ramp, during.Duration = 0, 0, maxLoadTime
		begun := make(chan struct{})
		var once sync.Once
		during.OnDone = func(workload.Op, bool) { once.Do(func() { close(begun) }) }
		done := make(chan error, 1)
		go func() {
			result, err := runner.Run(loaded, during)
			m.During = result
			done <- err
			once.Do(func() { close(begun) })
		}()
		// Wait for the first answer: scans of few keys would be over before the load has connected.
		select {
		case <-begun:
		case <-ctx.Done():
		}
		finish = func() error {
			stop()
			err := <-done
			if m.During != nil && ctx.Err() == nil {
				// The end of the scans has ended it, so it is not incomplete.
				m.During.Incomplete = ""
			}
			return err
		}
	}
	for round := range max(c.Rounds, 1) {
		for _, kind := range c.Kinds {
			if ctx.Err() != nil {
				break
			}
			// The order changes with each round, so that neither server always has the warmer
			// machine.
			if c.Baseline != nil && round%2 == 1 {
				m.Baseline = append(m.Baseline, Verify(ctx, c.Baseline, kind, c.ScanOptions))
			}
			v := Verify(ctx, c.Client, kind, c.ScanOptions)
			m.Scans = append(m.Scans, v)
			if c.OnScan != nil {
				c.OnScan(v)
			}
			if c.Baseline != nil && round%2 == 0 {
				m.Baseline = append(m.Baseline, Verify(ctx, c.Baseline, kind, c.ScanOptions))
			}
		}
	}
	return m, finish()
}

// Ratios returns the target's pairs per second over the baseline's, one ratio for each scan.
func (m *Measured) Ratios() (r []float64) {
	for i, b := range m.Baseline {
		if b.Pairs > 0 {
			r = append(r, m.Scans[i].PairsPerSecond()/b.PairsPerSecond())
		}
	}
	return r
}

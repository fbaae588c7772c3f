package load

import (
	"context"
	"sync"
	"time"

	"viakv/api/client"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// ScanConfig of a measurement of scans.
type ScanConfig struct {
	ScanOptions
	Client *client.Client
	Kinds  []client.Kind
	Rounds int // of each kind. Zero: 1

	// Baseline is a bare server that is scanned in turns with the target, so that what else the
	// machine does hits both. Nil: none.
	Baseline *client.Client

	// Load that runs beside the scans, to see what they do to others: an open loop, whose duration
	// is set here. Nil: none.
	Load *runner.Config
	// Quiet is how long the load runs alone, before. Zero: 3 s.
	Quiet time.Duration
	// OnScan is called after each scan. Nil: nobody looks.
	OnScan func(*Verified)
}

// Measured is the result of such a measurement.
type Measured struct {
	Scans    []*Verified
	Baseline []*Verified    // the bare server's, each beside its counterpart in Scans; nil without one
	Quiet    *runner.Result // the load alone; nil without one
	During   *runner.Result // the load while scans ran
}

// maxLoadTime bounds the load beside the scans; they end it.
const maxLoadTime = time.Hour

// Measure scans once for each kind and round, while a load runs if there is one.
func Measure(ctx context.Context, c ScanConfig) (*Measured, error) {
	if c.Quiet == 0 {
		c.Quiet = 3 * time.Second
	}
	m := new(Measured)
	finish := func() error { return nil }
	if c.Load != nil {
		quiet := *c.Load
		quiet.Warmup, quiet.Duration = time.Second, c.Quiet
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
		select { // scans of few keys would be over before the load has connected
		case <-begun:
		case <-ctx.Done():
		}
		finish = func() error {
			stop()
			err := <-done
			if m.During != nil && ctx.Err() == nil {
				m.During.Incomplete, m.During.Dropped = "", 0 // it was ended with the last scan, as it should
			}
			return err
		}
	}
	for round := range max(c.Rounds, 1) {
		for _, kind := range c.Kinds {
			if ctx.Err() != nil {
				break
			}
			if c.Baseline != nil && round%2 == 1 { // the order changes with each round, so that neither always has the warmer machine
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

// Ratios of the target's pairs per second to the baseline's, one for each scan.
func (m *Measured) Ratios() (r []float64) {
	for i, b := range m.Baseline {
		if b.Pairs > 0 {
			r = append(r, m.Scans[i].PairsPerSecond()/b.PairsPerSecond())
		}
	}
	return r
}

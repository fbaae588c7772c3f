// Package load fills a store with the first keys of a key space, and reads whole stores to check
// that such keys are there.
//
// S1. A scan is complete only when the client says so (client, L3) and every key that must be there
// was seen once, with a value that the key space gives for it.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/client"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// MaxKeys of one load (B3).
const MaxKeys = 200_000_000

// Config of a load.
type Config struct {
	runner.Config        // Sources and OnDone are set here; a duration is the longest time that it may take
	Count         uint64 // keys
	Client        *client.Client
	// Resume begins with a scan, and writes only what is not there yet.
	Resume bool
	// SkipCheck leaves out the scan at the end.
	SkipCheck bool
	// Progress is told of keys written, about once a second. Nil: nobody looks.
	Progress func(done, total uint64)
	// OnCheck is told of pairs read by a scan. Nil: nobody looks.
	OnCheck func(pairs int64)
}

// Result of a load.
type Result struct {
	*runner.Result
	Count   uint64
	Written uint64    // keys that were acknowledged in this run
	Found   uint64    // keys that were there before a resumed one
	Rounds  int       // passes over what had failed, the first included
	Check   *Verified // nil: not checked
}

// maxRounds over what failed. A set of a loader may be repeated: nobody else writes its keys, and
// it writes the same value each time.
const maxRounds = 20

// Run loads, repeats what failed, and scans.
func Run(ctx context.Context, c Config) (*Result, error) {
	if c.Count == 0 || c.Count > MaxKeys {
		return nil, fmt.Errorf("%d keys: give 1 to %d", c.Count, MaxKeys)
	}
	result := &Result{Count: c.Count}
	l := &loader{keys: c.Count, progress: c.Progress}
	if c.Resume {
		v := c.verify(ctx)
		if v.Error != "" {
			return nil, errors.New("the scan for what is there already failed: " + v.Error)
		}
		l.skip, result.Found = v.Present, v.Present.Count()
		l.done.Store(result.Found)
	}
	deadline := time.Now().Add(runner.MaxDuration)
	if c.Duration > 0 {
		deadline = time.Now().Add(c.Duration)
	}
	c.Sources = func(int) runner.Source { return l }
	c.OnDone = l.answered
	for result.Rounds < maxRounds && !l.begin() {
		c.Config.Duration = time.Until(deadline)
		r, err := runner.Run(ctx, c.Config)
		if err != nil {
			if result.Result == nil || ctx.Err() != nil {
				return nil, err
			}
			// The target is away for now (B5): the next round tries again, and the number of rounds
			// is bounded.
			if !pause(ctx, time.Second) {
				break
			}
			result.Rounds++
			continue
		}
		if result.Rounds++; result.Result == nil {
			result.Result = r
		} else {
			result.Merge(r)
		}
		if ctx.Err() != nil || !time.Now().Before(deadline) {
			break
		}
	}
	if result.Result == nil { // a resumed load that had nothing left to do
		result.Result = &runner.Result{Started: time.Now(), Status: map[int]int64{}}
		for k := range result.Latency {
			result.Latency[k] = runner.NewHistogram()
		}
	}
	result.Written = l.done.Load() - result.Found
	if result.Found+result.Written < c.Count && result.Incomplete == "" {
		result.Incomplete = fmt.Sprintf("%d keys were not written", c.Count-result.Found-result.Written)
	}
	if !c.SkipCheck && ctx.Err() == nil {
		result.Check = c.verify(ctx)
	}
	return result, nil
}

func (c *Config) verify(ctx context.Context) *Verified {
	o := ScanOptions{Keys: c.Keys, Expected: c.Count}
	if c.OnCheck != nil {
		o.Progress = func(pairs int64, _ time.Duration) { c.OnCheck(pairs) }
	}
	return Verify(ctx, c.Client, client.ScanAll, o)
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// loader hands out each key once, then what failed, round by round. Safe for concurrent use.
type loader struct {
	keys     uint64
	skip     Bitmap // nil: nothing
	next     atomic.Uint64
	done     atomic.Uint64
	progress func(done, total uint64)

	mu     sync.Mutex
	again  []uint64 // of this round
	failed []uint64 // for the next
	told   time.Time
}

// begin starts a round; true when there is nothing left to do.
func (l *loader) begin() (finished bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.again, l.failed = append(l.again, l.failed...), nil
	return len(l.again) == 0 && l.next.Load() >= l.keys
}

// Next implements runner.Source.
func (l *loader) Next() (workload.Op, bool) {
	for {
		i := l.next.Add(1) - 1
		if i < l.keys {
			if l.skip != nil && l.skip.Has(i) {
				continue
			}
			return workload.Op{Kind: workload.Set, Index: i}, true
		}
		l.next.Store(l.keys) // far from an overflow, however long workers ask
		l.mu.Lock()
		defer l.mu.Unlock()
		n := len(l.again)
		if n == 0 {
			return workload.Op{}, false
		}
		i = l.again[n-1]
		l.again = l.again[:n-1]
		return workload.Op{Kind: workload.Set, Index: i}, true
	}
}

const tellEvery = 200 * time.Millisecond

// answered implements runner.Config.OnDone.
func (l *loader) answered(op workload.Op, good bool) {
	if !good {
		l.mu.Lock()
		l.failed = append(l.failed, op.Index)
		l.mu.Unlock()
		return
	}
	done := l.done.Add(1)
	if l.progress == nil || done%256 != 0 && done != l.keys {
		return
	}
	l.mu.Lock()
	tell := time.Since(l.told) >= tellEvery || done == l.keys
	if tell {
		l.told = time.Now()
	}
	l.mu.Unlock()
	if tell {
		l.progress(done, l.keys)
	}
}

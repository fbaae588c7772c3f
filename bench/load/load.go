// Package load fills a store with the first keys of a key space. It also reads whole stores to
// check that such keys are there.
//
// S1. A scan is complete only when the client says so (package client, F3) and when every key that
// must be there was seen once, with a value that the key space gives for it.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/client"
	"viakv/api/sleep"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// MaxKeys is the most keys that one load may have (B3).
const MaxKeys = 200_000_000

// Config describes a load.
type Config struct {
	// Config describes the runs; Run sets Sources and OnDone. Duration is the longest time that
	// the load may take. Zero: runner.MaxDuration.
	runner.Config
	Count  uint64 // number of keys
	Client *client.Client
	// Resume makes the load begin with a scan and write only the keys that are not there yet.
	Resume bool
	// SkipCheck leaves out the scan at the end.
	SkipCheck bool
	// Progress gets the number of written keys, about five times a second. Nil: not called.
	Progress func(done, total uint64)
	// OnCheck gets the number of pairs that a scan has read so far. Nil: not called.
	OnCheck func(pairs int64)
}

// Result is the outcome of a load.
type Result struct {
	*runner.Result
	Written uint64 // keys that were acknowledged in this run
	Found   uint64 // keys that a resumed load found there
	// Rounds counts the passes over the keys: the first pass, and each that repeats what failed.
	Rounds int
	Check  *Verified // nil: not checked
}

// maxRounds is the most rounds of a load. A load may repeat a set, because no other program writes
// its keys and it writes the same value each time.
const maxRounds = 20

// Run loads, repeats what failed, and scans.
func Run(ctx context.Context, c Config) (*Result, error) {
	if c.Count == 0 || c.Count > MaxKeys {
		return nil, fmt.Errorf("%d keys: give 1 to %d", c.Count, MaxKeys)
	}
	result := new(Result)
	l := &loader{keys: c.Count, progress: c.Progress}
	// A resumed load leaves out the keys that are there.
	if c.Resume {
		v := c.verify(ctx)
		if v.Error != "" {
			return nil, errors.New("the scan for what is there already failed: " + v.Error)
		}
		l.skip, result.Found = v.present, v.present.count()
		l.done.Store(result.Found)
	}
	deadline := time.Now().Add(runner.MaxDuration)
	if c.Duration > 0 {
		deadline = time.Now().Add(c.Duration)
	}
	c.Sources = func(int) workload.Source { return l }
	c.OnDone = l.answered
	// Each round writes the keys not tried yet and those that failed before.
	for result.Rounds < maxRounds && !l.begin() {
		c.Config.Duration = time.Until(deadline)
		r, err := runner.Run(ctx, c.Config)
		if err != nil {
			if result.Result == nil || ctx.Err() != nil {
				return nil, err
			}
			// The target does not answer at present (B5). The next round tries again; the number of
			// rounds is bounded.
			if !sleep.For(ctx, time.Second) {
				break
			}
			result.Rounds++
			continue
		}
		if result.Rounds++; result.Result == nil {
			result.Result = r
		} else {
			result.Merge(r)
			result.Elapsed = time.Since(result.Started) // with the pauses between the rounds
		}
		if ctx.Err() != nil || !time.Now().Before(deadline) {
			break
		}
	}
	if result.Result == nil { // a resumed load that had nothing left to do
		result.Result = &runner.Result{Counts: *runner.NewCounts(), Started: time.Now()}
	}
	// Sum up, and read the whole store.
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
	return Verify(ctx, c.Client, client.ScanAll, ScanOptions{Keys: c.Keys, Expected: c.Count, Progress: c.OnCheck})
}

// loader hands out each key once, then the keys that failed, round by round. It is safe for
// concurrent use.
type loader struct {
	keys     uint64
	skip     bitmap // nil: no key is skipped
	next     atomic.Uint64
	done     atomic.Uint64
	progress func(done, total uint64)

	mu     sync.Mutex
	again  []uint64 // keys that this round repeats
	failed []uint64 // keys for the next round
	told   time.Time
}

// begin starts a round. It returns true when there is nothing left to do.
func (l *loader) begin() (finished bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.again, l.failed = append(l.again, l.failed...), nil
	return len(l.again) == 0 && l.next.Load() >= l.keys
}

// Next implements workload.Source.
func (l *loader) Next() (workload.Op, bool) {
	for {
		i := l.next.Add(1) - 1
		if i < l.keys {
			if l.skip != nil && l.skip.has(i) {
				continue
			}
			return workload.Op{Kind: workload.Set, Index: i}, true
		}
		l.next.Store(l.keys) // no overflow, however long workers ask
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

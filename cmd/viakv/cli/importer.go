package cli

import (
	"context"
	"errors"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/client"
	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/cmd/cliutil"
)

const (
	// importers is how many pairs are written at the same time. A write waits for other nodes for
	// most of its time, so a few dozen keep a node busy.
	importers = 64
	// importQueue bounds the pairs that wait for one importer.
	importQueue = 64
	// importPatience is how long a pair is tried again: longer than an election or the restart of a
	// node.
	importPatience = 30 * time.Second
)

// numbered is a pair with the number of its line.
type numbered struct {
	line int64
	pair exportedPair
}

// importing writes pairs in parallel. All pairs of one key go through the same importer, so that
// the later of two lines with one key stays.
type importing struct {
	client *client.Client
	bar    *cliutil.Bar
	// The context ends with the first failure, which is its cause.
	ctx     context.Context
	fail    context.CancelCauseFunc
	seed    maphash.Seed
	queues  [importers]chan numbered
	workers sync.WaitGroup
	missing bool         // write only the keys that the cluster does not have
	there   atomic.Int64 // pairs that were not written, because it has their keys

	mu      sync.Mutex
	pending map[int64]struct{} // lines taken and not known to be written
}

func newImport(ctx context.Context, c *client.Client, bar *cliutil.Bar, missing bool) *importing {
	w := &importing{client: c, bar: bar, seed: maphash.MakeSeed(), missing: missing, pending: map[int64]struct{}{}}
	w.ctx, w.fail = context.WithCancelCause(ctx)
	for i := range w.queues {
		queue := make(chan numbered, importQueue)
		w.queues[i] = queue
		w.workers.Go(func() { w.work(queue) })
	}
	return w
}

// write takes a pair, and blocks while its importer is behind. It returns false after a failure.
func (w *importing) write(line int64, p exportedPair) bool {
	w.mu.Lock()
	w.pending[line] = struct{}{}
	w.mu.Unlock()
	select {
	case w.queues[maphash.String(w.seed, p.Key)%importers] <- numbered{line, p}:
		return w.ctx.Err() == nil
	case <-w.ctx.Done():
		return false
	}
}

// wait ends the import. After a failure it returns the first line that may not be written. next is
// the number of the line after the last one.
func (w *importing) wait(next int64) (resume int64, err error) {
	for _, q := range w.queues {
		close(q)
	}
	w.workers.Wait()
	err = context.Cause(w.ctx)
	w.fail(nil)
	resume = next
	for line := range w.pending {
		resume = min(resume, line)
	}
	return resume, err
}

func (w *importing) work(queue <-chan numbered) {
	for n := range queue {
		if w.ctx.Err() != nil {
			continue // empty the queue, so that write does not block
		}
		if err := w.set(n.pair); err != nil {
			w.fail(err)
			continue
		}
		w.mu.Lock()
		delete(w.pending, n.line)
		w.mu.Unlock()
		w.bar.Add(1)
	}
}

// set writes a pair, and repeats that where it may help. A write with an unknown outcome is
// repeated as well: it is the same pair, and an import promises to write it at least once.
func (w *importing) set(p exportedPair) error {
	began := time.Now()
	look := w.missing
	for n := range math.MaxInt {
		var err error
		if look {
			var there bool
			if there, err = w.client.Has(w.ctx, p.Key); there {
				w.there.Add(1)
				return nil
			}
		}
		if err == nil {
			look = false // the key may be there from now on, because this has written it
			_, err = w.client.Set(w.ctx, p.Key, p.Value)
		}
		var e *client.Error
		if err == nil || w.ctx.Err() != nil || !errors.As(err, &e) || !errors.Is(e, kv.ErrUnavailable) || time.Since(began) > importPatience {
			return err
		}
		if !sleep.For(w.ctx, max(e.RetryAfter, min(20*time.Millisecond<<min(n, 6), time.Second))) {
			return err
		}
	}
	return nil
}

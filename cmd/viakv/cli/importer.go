package cli

import (
	"context"
	"errors"
	"sync"
	"time"

	"viakv/api/client"
	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/cmd/cliutil"
)

const (
	// importChunk is how many pairs are written at a time, and how many wait meanwhile. It is as
	// many as one request of the client has.
	importChunk = 4096
	// importPatience is how long a pair is tried again: longer than an election or the restart of a
	// node.
	importPatience = 30 * time.Second
)

// numbered is a pair with the number of its line.
type numbered struct {
	line int64
	pair exportedPair
}

// importing writes pairs in their order. While a chunk of them is written, the next one is taken:
// it has what has come by then. So a slow input is written as it comes.
type importing struct {
	client  *client.Client
	bar     *cliutil.Bar
	missing bool // write only the keys that the cluster does not have
	// The context ends with the first failure, which is its cause.
	ctx    context.Context
	fail   context.CancelCauseFunc
	queue  chan numbered
	worker sync.WaitGroup
	left   int64 // the line that write did not take; 0: none

	// These are the worker's as long as it runs.
	chunk  []numbered
	there  int64 // pairs that were not written, because the cluster has their keys
	resume int64 // the first line that may not be written; 0: none
}

func newImport(ctx context.Context, c *client.Client, bar *cliutil.Bar, missing bool) *importing {
	w := &importing{client: c, bar: bar, missing: missing, queue: make(chan numbered, importChunk)}
	w.ctx, w.fail = context.WithCancelCause(ctx)
	w.worker.Go(w.work)
	return w
}

// write takes a pair, and blocks while the worker is behind. It returns false after a failure.
func (w *importing) write(line int64, p exportedPair) bool {
	select {
	case w.queue <- numbered{line, p}:
		return w.ctx.Err() == nil
	case <-w.ctx.Done():
		w.left = line
		return false
	}
}

// wait ends the import. After a failure it returns the first line that may not be written. next is
// the number of the line after the last one.
func (w *importing) wait(next int64) (resume int64, err error) {
	close(w.queue)
	w.worker.Wait()
	err = context.Cause(w.ctx)
	w.fail(nil)
	switch {
	case w.resume > 0:
		return w.resume, err
	case w.left > 0:
		return w.left, err
	}
	return next, err
}

func (w *importing) work() {
	for w.take() {
		if w.resume > 0 {
			continue // empty the queue, so that write does not block
		}
		chunk, err := w.chunk, error(nil)
		if w.missing {
			chunk, err = w.absent(chunk)
		}
		if err == nil {
			chunk, err = w.store(chunk)
		}
		if err != nil {
			w.resume = chunk[0].line
			w.fail(err)
		}
	}
}

// take makes the next chunk of what has come. It returns false at the end.
func (w *importing) take() bool {
	w.chunk = w.chunk[:0]
	for n, more := <-w.queue; more; {
		w.chunk = append(w.chunk, n)
		if len(w.chunk) == importChunk {
			break
		}
		select {
		case n, more = <-w.queue:
		default:
			more = false
		}
	}
	return len(w.chunk) > 0
}

// absent returns the pairs of a chunk whose keys the cluster does not have. Of several with one key
// it returns the first. After a failure it returns the whole chunk.
func (w *importing) absent(chunk []numbered) ([]numbered, error) {
	keys := make([]string, len(chunk))
	for i := range chunk {
		keys[i] = chunk[i].pair.Key
	}
	there, err := w.look(keys)
	if err != nil {
		return chunk, err
	}
	absent := chunk[:0]
	for _, n := range chunk {
		if _, is := there[n.pair.Key]; is {
			w.there++
			w.bar.Add(1)
			continue
		}
		there[n.pair.Key] = "" // from here on
		absent = append(absent, n)
	}
	return absent, nil
}

// look returns those of the keys that the cluster has, with their values, and asks again where it
// may help.
func (w *importing) look(keys []string) (there map[string]string, err error) {
	for p := newPatience(); ; {
		if there, err = w.client.GetMany(w.ctx, keys); err == nil || !p.again(w.ctx, err) {
			return there, err
		}
	}
}

// store writes pairs, and repeats those that may not be written where that may help: an import
// promises to write each at least once. With the first of them all later ones are repeated, so that
// the later of two pairs with one key stays. After a failure it returns the pairs from the first
// one on that may not be written.
func (w *importing) store(chunk []numbered) ([]numbered, error) {
	for p := newPatience(); ; {
		_, err := w.client.SetMany(w.ctx, func(yield func(string, string) bool) {
			for i := range chunk {
				if !yield(chunk[i].pair.Key, chunk[i].pair.Value) {
					return
				}
			}
		})
		n, err := written(int64(len(chunk)), err)
		w.bar.Add(int(n))
		if chunk = chunk[n:]; n > 0 {
			p = newPatience()
		}
		if err == nil || !p.again(w.ctx, err) {
			return chunk, err
		}
	}
}

// written returns how many pairs are written before the first one that may not be, and why that may
// not be.
func written(all int64, err error) (int64, error) {
	l, ok := errors.AsType[*client.LoadError](err)
	if !ok {
		return all, err
	}
	first, outcome := l.Next, kv.None
	if len(l.Failed) > 0 {
		first, outcome = l.Failed[0].First, l.Failed[0].Outcome
	}
	err = l.Err
	if e, ok := errors.AsType[*client.Error](err); ok {
		of := *e // of that pair, and not of its whole request
		of.Outcome = outcome
		err = &of
	}
	return first - 1, err
}

// patience is how often, and since when, something was tried again.
type patience struct {
	began time.Time
	times int
}

func newPatience() patience { return patience{began: time.Now()} }

// again waits before another attempt. It returns false when none is due: after an error of another
// kind, when too much time has passed, or when ctx has ended.
func (p *patience) again(ctx context.Context, err error) bool {
	e, asked := errors.AsType[*client.Error](err)
	if ctx.Err() != nil || !asked || !errors.Is(e, kv.ErrUnavailable) || time.Since(p.began) > importPatience {
		return false
	}
	wait := max(e.RetryAfter, min(20*time.Millisecond<<min(p.times, 6), time.Second))
	p.times++
	return sleep.For(ctx, wait)
}

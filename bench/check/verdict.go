package check

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// shownAround is how many operations of a violation are shown before and after the first that does
// not fit.
const shownAround = 15

// Check decides about every key, each within the time-out (K4), and sums up.
func (h *History) Check(ctx context.Context, timeout time.Duration, progress func(done, total uint64)) *Verdict {
	began := time.Now()
	keys := h.allKeys()
	c := &Verdict{Keys: len(keys)}
	h.mu.Lock()
	c.Clears, c.Scans = len(h.clears), h.scans
	for _, o := range h.others {
		switch {
		case o.Client == auditor:
		case o.Result == refused:
			c.Refused++
		default:
			c.Failed++
		}
	}
	h.mu.Unlock()
	h.watch.mu.Lock()
	c.Stale, c.StaleReads = h.watch.found, h.watch.stale
	h.watch.mu.Unlock()
	var (
		mu      sync.Mutex
		working sync.WaitGroup
		next    = make(chan *key)
		checked uint64
	)
	// Each worker searches one key at a time; the search uses one core.
	for range runtime.GOMAXPROCS(0) {
		working.Go(func() {
			for k := range next {
				ops := h.sequence(k)
				result := porcupine.Unknown
				if ctx.Err() == nil {
					result = porcupine.CheckOperationsTimeout(register, toPorcupine(ops), timeout)
				}
				var v Violation
				if result == porcupine.Illegal {
					v = explain(k.name, ops)
				}
				mu.Lock()
				checked++
				c.Operations += len(ops)
				c.Unknown += k.open
				switch result {
				case porcupine.Ok:
					c.Legal++
				case porcupine.Illegal:
					c.Violations = append(c.Violations, v)
				default:
					c.Undecided++
				}
				if progress != nil {
					progress(checked, uint64(len(keys)))
				}
				mu.Unlock()
			}
		})
	}
	for _, k := range keys {
		next <- k
	}
	close(next)
	working.Wait()
	slices.SortFunc(c.Violations, func(a, b Violation) int { return cmp.Compare(a.Key, b.Key) })
	c.CheckTime = time.Since(began).Seconds()
	return c
}

// explain finds the shortest beginning of a history that is illegal already. The answer that ends
// it is the first that the operations before cannot explain.
func explain(name string, ops []operation) Violation {
	// Each prefix ends with an answer. It holds what was invoked before that moment; what was not
	// yet answered is open in it.
	var ends []time.Duration
	for _, o := range ops {
		if o.Return != forever {
			ends = append(ends, o.Return)
		}
	}
	slices.Sort(ends)
	at, _ := slices.BinarySearchFunc(ends, true, func(end time.Duration, _ bool) int {
		if porcupine.CheckOperationsTimeout(register, toPorcupine(prefix(ops, end)), 10*time.Second) == porcupine.Illegal {
			return 0
		}
		return -1
	})
	if at >= len(ends) {
		at = len(ends) - 1
	}
	culprit := slices.IndexFunc(ops, func(o operation) bool { return o.Return == ends[at] })
	v := Violation{Key: name, Reason: fmt.Sprintf("nothing that happened before explains: %s", ops[culprit])}
	for i := max(0, culprit-shownAround); i < min(len(ops), culprit+shownAround); i++ {
		mark := "  "
		if i == culprit {
			mark = "> "
		}
		v.History = append(v.History, mark+ops[i].String())
	}
	return v
}

// prefix returns the history as it was known at a moment. Operations that were not yet answered are
// open.
func prefix(ops []operation, end time.Duration) []operation {
	var out []operation
	for _, o := range ops {
		switch {
		case o.Call > end:
		case o.Return <= end:
			out = append(out, o)
		case o.Kind.mutates():
			o.Result, o.Return = open, forever
			out = append(out, o)
		}
	}
	return out
}

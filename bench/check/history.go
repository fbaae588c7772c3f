package check

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// History holds what was asked and answered. It is safe for concurrent use.
type History struct {
	start time.Time
	watch *staleWatch

	mu     sync.Mutex
	keys   []*key
	clears []operation
	scans  int
	// Refused operations and open reads: for the availability only.
	others []operation
}

// key is one register and its operations.
type key struct {
	name string

	mu    sync.Mutex
	ops   []operation
	open  int
	taken int // operations begun
}

func newHistory() *History { return &History{start: time.Now(), watch: newStaleWatch()} }

// Elapsed returns the time since the start.
func (h *History) Elapsed() time.Duration { return time.Since(h.start) }

func (h *History) newKey(name string) *key {
	k := &key{name: name}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys = append(h.keys, k)
	return k
}

// allKeys returns the keys recorded so far.
func (h *History) allKeys() []*key {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.keys)
}

// end completes an operation and returns it. A read that is open says nothing and is left out, as
// is an operation that was refused.
func (h *History) end(k *key, o operation, r opResult, v opValue) operation {
	o.Result, o.Return = r, h.Elapsed()
	if o.Kind == get || o.Kind == has || o.Kind == scanned {
		o.Value = v
	}
	ended := o
	if r == open {
		o.Return = forever
	}
	switch {
	case r == refused || r == open && !o.Kind.mutates():
		h.mu.Lock()
		h.others = append(h.others, ended)
		h.mu.Unlock()
	case o.Kind == clearAll:
		h.mu.Lock()
		h.clears = append(h.clears, o)
		h.mu.Unlock()
	default:
		k.mu.Lock()
		k.ops = append(k.ops, o)
		if r == open {
			k.open++
		}
		k.mu.Unlock()
	}
	return o
}

// sequence returns the operations of a key by invocation, with each clear that overlaps their time.
func (h *History) sequence(k *key) []operation {
	k.mu.Lock()
	ops := slices.Clone(k.ops)
	k.mu.Unlock()
	if len(ops) == 0 {
		return nil
	}
	first, last := ops[0].Call, ops[0].Call
	for _, o := range ops {
		first = min(first, o.Call)
		if o.Return != forever {
			last = max(last, o.Return)
		}
		last = max(last, o.Call)
	}
	h.mu.Lock()
	for _, c := range h.clears {
		// A clear that ended before the first operation has left the key absent, as it was. A clear
		// that began after the last answer was seen by no operation.
		if c.Return >= first && c.Call <= last {
			ops = append(ops, c)
		}
	}
	h.mu.Unlock()
	slices.SortFunc(ops, func(a, b operation) int { return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.Return, b.Return)) })
	return ops
}

// OpenSets returns how many sets at an endpoint were left open.
func (h *History) OpenSets(endpoint int) (n int) {
	for _, k := range h.allKeys() {
		k.mu.Lock()
		for _, o := range k.ops {
			if o.Result == open && o.Kind == set && o.Endpoint == endpoint {
				n++
			}
		}
		k.mu.Unlock()
	}
	return n
}

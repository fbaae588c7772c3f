package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// kind is what a client asked for.
type kind uint8

const (
	get kind = iota
	set
	remove
	wipe // a clear: for one key, a write of nothing
)

func (k kind) String() string { return [...]string{"get", "set", "rm", "clear"}[k] }

type input struct {
	kind  kind
	value int
	at    string // the node that was asked, for messages
}

// output is the result of an operation. An operation of unknown outcome may have happened or not,
// at any time until the end.
type output struct {
	value   int // of get; zero: missing
	missing bool
	unknown bool
}

// history is what the clients saw, by key.
type history struct {
	mu     sync.Mutex
	began  time.Time
	keys   map[string][]porcupine.Operation
	clears []porcupine.Operation
	values int
	counts map[string]int
}

func newHistory() *history {
	return &history{keys: map[string][]porcupine.Operation{}, counts: map[string]int{}}
}

func (h *history) now() int64 { return time.Since(h.began).Nanoseconds() }

// value returns a value that no client has written before.
func (h *history) value() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values++
	return h.values
}

// add notes an operation that was called at the given time and has ended now.
func (h *history) add(client int, key string, in input, out output, called int64) {
	op := porcupine.Operation{ClientId: client, Input: in, Output: out, Call: called, Return: h.now()}
	if out.unknown {
		op.Return = math.MaxInt64 // it may take effect at any later time
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	name := in.kind.String()
	if out.unknown {
		name += "?"
	}
	h.counts[name]++
	switch {
	case out.unknown && in.kind == get: // tells nothing
	case in.kind == wipe:
		h.clears = append(h.clears, op)
	default:
		h.keys[key] = append(h.keys[key], op)
	}
}

// count counts what is no operation, for the log: a batch of which a part was stored.
func (h *history) count(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[what]++
}

// specification is the model of one key: a register whose remove is a test-and-clear.
var specification = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, in, out any) (bool, any) {
		v, i, o := state.(int), in.(input), out.(output)
		switch i.kind {
		case get:
			return o.value == v, v
		case set:
			return true, i.value
		case wipe:
			return true, 0
		}
		switch {
		case o.unknown:
			return true, 0
		case o.missing:
			return v == 0, v
		}
		return v != 0, 0
	},
	DescribeOperation: func(in, out any) string {
		i, o := in.(input), out.(output)
		s := i.kind.String()
		switch {
		case i.kind == set:
			s = fmt.Sprintf("set %d", i.value)
		case i.kind == get:
			s = fmt.Sprintf("get → %d", o.value)
		case o.missing:
			s += " → missing"
		}
		if o.unknown {
			s += " ?"
		}
		return s
	},
}

// maxSteps bounds the search for the order of one key's operations, and so its memory. An order of
// a thousand operations takes more than 30,000 steps. A search that is cut short does not pass.
const maxSteps = 20_000_000

// search looks for a legal order of one key's operations. The result is Unknown when there were too
// many orders to try.
func search(ops []porcupine.Operation, maxSteps int) (porcupine.CheckResult, porcupine.LinearizationInfo) {
	bounded, steps := specification, 0
	bounded.Step = func(state, in, out any) (bool, any) {
		if steps++; steps > maxSteps {
			return false, state // nothing fits any more: the search returns
		}
		return specification.Step(state, in, out)
	}
	result, info := porcupine.CheckOperationsVerbose(bounded, ops, 0)
	if steps > maxSteps {
		result = porcupine.Unknown
	}
	return result, info
}

// check fails the test when the history of a key has no legal order, and saves a picture of that
// history.
func (h *history) check(t testing.TB, seed uint64) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(h.keys)) {
		ops := slices.Concat(h.keys[key], h.clears)
		for i := range ops {
			ops[i].ClientId = i // an operation of unknown outcome overlaps its client's later ones
		}
		result, info := search(ops, maxSteps)
		if result == porcupine.Ok {
			continue
		}
		picture := ""
		if f, err := os.CreateTemp("", fmt.Sprintf("viakv-seed-%d-%s-*.html", seed, key)); err == nil {
			if porcupine.Visualize(specification, info, f) == nil {
				picture = f.Name()
			}
			_ = f.Close()
		}
		t.Errorf("seed %d: the history of %s is %s; picture: %s%s", seed, key, result, picture, stuck(ops, info))
	}
}

// stuck describes where the search for an order got stuck: the end of the longest order found, and
// the operations that were under way then.
func stuck(ops []porcupine.Operation, info porcupine.LinearizationInfo) string {
	var longest []porcupine.Operation
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, l := range partition {
			if len(l) > len(longest) {
				longest = l
			}
		}
	}
	placed := map[int]bool{}
	var last int64
	for _, op := range longest {
		placed[op.ClientId] = true
		last = max(last, op.Call)
	}
	line := func(op porcupine.Operation) string {
		return fmt.Sprintf("\n    %9.3f to %9.3f  %s at %s", float64(op.Call)/1e9, min(float64(op.Return)/1e9, 1e6),
			specification.DescribeOperation(op.Input, op.Output), op.Input.(input).at)
	}
	s := "\n  the longest order ends with"
	for _, op := range longest[max(0, len(longest)-6):] {
		s += line(op)
	}
	s += "\n  not placed, around that time"
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	for _, op := range ops {
		if !placed[op.ClientId] && op.Call < last+2e9 && (op.Return > last-2e9) {
			s += line(op)
		}
	}
	return s
}

// A legal order is found where one exists, and a search that would not end is cut short.
func TestSearch(t *testing.T) {
	const limit = 100_000
	for _, c := range []struct {
		// sets have an unknown outcome. got is the value that a later get returned.
		sets, got int
		want      porcupine.CheckResult
	}{
		{60, 60, porcupine.Ok},
		{8, 99, porcupine.Illegal},
		{60, 99, porcupine.Unknown},
	} {
		var ops []porcupine.Operation
		for v := range c.sets {
			ops = append(ops, porcupine.Operation{ClientId: v, Input: input{kind: set, value: v + 1}, Output: output{unknown: true}, Call: int64(v), Return: math.MaxInt64})
		}
		ops = append(ops, porcupine.Operation{ClientId: c.sets, Input: input{kind: get}, Output: output{value: c.got}, Call: 100, Return: 101})
		if got, _ := search(ops, limit); got != c.want {
			t.Errorf("%d sets, then a get of %d: %s, want %s", c.sets, c.got, got, c.want)
		}
	}
}

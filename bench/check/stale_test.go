package check

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// watched plays operations to a watch in the order of their times, and returns those whose answers
// it calls stale.
func watched(ops ...operation) (stale []operation) {
	type event struct {
		at  time.Duration
		end bool
		of  int
	}
	var events []event
	for i, o := range ops {
		events = append(events, event{o.Call, false, i}, event{o.Return, true, i})
	}
	// What ends when another begins overlaps it, as for the search.
	slices.SortStableFunc(events, func(a, b event) int {
		if c := cmp.Compare(a.at, b.at); c != 0 || a.end == b.end {
			return c
		} else if a.end {
			return 1
		}
		return -1
	})
	w := newStaleWatch()
	keys := map[bool]*key{false: {name: "k"}, true: nil}
	floors := make([]time.Duration, len(ops))
	for _, e := range events {
		o := ops[e.of]
		if o.Result == open {
			o.Return = forever
		}
		k := keys[o.Kind == clearAll]
		if !e.end {
			floors[e.of] = w.begin(k, &o)
		} else if w.end(k, &o, floors[e.of]) {
			stale = append(stale, o)
		}
	}
	if len(stale) != w.found || len(w.stale) != min(w.found, shownStale) {
		panic("the watch counts wrongly")
	}
	return stale
}

func TestStaleAnswersAreNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		stale int
		ops   []operation
	}{
		"a value that was overwritten":     {1, []operation{op(0, 1, set, done, 1), op(2, 3, set, done, 2), op(4, 5, get, done, 1)}},
		"while the newer one is written":   {0, []operation{op(0, 1, set, done, 1), op(2, 9, set, done, 2), op(4, 5, get, done, 1)}},
		"after another has read the newer": {1, []operation{op(0, 1, set, done, 1), op(2, 9, set, done, 2), op(3, 4, get, done, 2), op(5, 6, get, done, 1)}},
		"beside the one who reads it":      {0, []operation{op(0, 1, set, done, 1), op(2, 9, set, done, 2), op(3, 5, get, done, 2), op(4, 6, get, done, 1)}},
		"writes that overlap":              {0, []operation{op(0, 3, set, done, 1), op(1, 2, set, done, 2), op(4, 5, get, done, 1)}},
		"a write that was left open":       {0, []operation{op(0, 1, set, open, 1), op(2, 3, set, done, 2), op(4, 5, get, done, 1)}},
		"absence after a write":            {2, []operation{op(0, 1, set, done, 1), op(2, 3, get, missing, 0), op(4, 5, has, missing, 0)}},
		"absence after a remove":           {0, []operation{op(0, 1, set, done, 1), op(2, 3, remove, done, 0), op(4, 5, get, missing, 0)}},
		"absence beside a remove":          {0, []operation{op(0, 1, set, done, 1), op(2, 9, remove, done, 0), op(4, 5, get, missing, 0)}},
		"absence, a remove left open":      {0, []operation{op(0, 1, set, done, 1), op(2, 3, remove, open, 0), op(4, 5, get, missing, 0)}},
		"absence, a remove refused":        {1, []operation{op(0, 1, set, done, 1), op(2, 3, remove, refused, 0), op(4, 5, get, missing, 0)}},
		"a removed value":                  {1, []operation{op(0, 1, set, done, 1), op(2, 3, remove, done, 0), op(4, 5, get, done, 1)}},
		"a remove that finds nothing":      {1, []operation{op(0, 1, set, done, 1), op(2, 3, remove, missing, 0)}},
		"a value that was cleared":         {1, []operation{op(0, 1, set, done, 1), op(2, 3, clearAll, done, 0), op(4, 5, get, done, 1)}},
		"absence after a clear":            {0, []operation{op(0, 1, set, done, 1), op(2, 3, clearAll, done, 0), op(4, 5, get, missing, 0)}},
		"absence beside an open clear":     {0, []operation{op(0, 1, set, done, 1), op(2, 3, clearAll, open, 0), op(4, 5, get, missing, 0)}},
		"a value of nobody":                {0, []operation{op(0, 1, get, done, foreign)}},
	} {
		if got := watched(c.ops...); len(got) != c.stale {
			t.Errorf("%s: %d stale answers, want %d: %v", name, len(got), c.stale, got)
		}
	}
}

// What the watch calls stale, the search finds illegal. Histories of a register are never stale,
// and most of those with one answer that is too old are.
func TestTheWatchIsNeverWrong(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	found, broken := 0, 0
	for range 3000 {
		var ops []operation
		var held, before opValue
		values := opValue(0)
		spoil := -1
		if random.IntN(2) == 0 {
			spoil = 5 + random.IntN(25)
		}
		for i := range 30 {
			at := 10 * i // the moment of effect
			kind := []opKind{get, get, get, get, has, set, remove}[random.IntN(7)]
			o := op(at-random.IntN(25), at+1+random.IntN(25), kind, done, 0)
			o.Client = i
			shown := held
			if i == spoil {
				shown = before
			}
			switch {
			case kind == set:
				values++
				o.Value, before, held = values, held, values
				if random.IntN(8) == 0 {
					o.Result = open
				}
			case shown == 0:
				o.Result = missing
			case kind == remove:
				before, held = held, 0
			case kind == get:
				o.Value = shown
			}
			ops = append(ops, o)
		}
		slices.SortFunc(ops, func(a, b operation) int { return cmp.Compare(a.Call, b.Call) })
		stale := len(watched(ops...)) > 0
		closed := slices.Clone(ops)
		for i := range closed {
			if closed[i].Result == open {
				closed[i].Return = forever
			}
		}
		legal := porcupine.CheckOperationsTimeout(register, toPorcupine(closed), 10*time.Second) == porcupine.Ok
		if stale && legal {
			t.Fatalf("the watch is wrong: %v", ops)
		}
		if !legal {
			broken++
			if stale {
				found++
			}
		}
	}
	t.Logf("of %d illegal histories the watch noticed %d", broken, found)
	if broken < 100 || found < broken/4 {
		t.Errorf("of %d illegal histories the watch noticed %d", broken, found)
	}
}

package check

import (
	"context"
	"strings"
	"testing"
	"time"
)

// scripted returns the history of one key that has these operations.
func scripted(ops ...operation) *History {
	h := newHistory()
	k := h.newKey("k")
	for _, o := range ops {
		if o.Result == open {
			o.Return = forever
		}
		if o.Kind == clearAll {
			h.clears = append(h.clears, o)
		} else {
			k.ops = append(k.ops, o)
		}
	}
	return h
}

func op(from, to int, kind opKind, result opResult, value opValue) operation {
	return operation{Kind: kind, Result: result, Value: value, Call: time.Duration(from), Return: time.Duration(to)}
}

// Passed reports whether every key's history is legal.
func (c *Verdict) Passed() bool { return len(c.Violations) == 0 && c.Undecided == 0 && c.Keys > 0 }

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		legal bool
		ops   []operation
	}{
		"read what was written":                {true, []operation{op(0, 1, set, done, 1), op(2, 3, get, done, 1), op(4, 5, has, done, 0)}},
		"absent at first":                      {true, []operation{op(0, 1, get, missing, 0), op(0, 1, has, missing, 0), op(2, 3, remove, missing, 0)}},
		"overlapping write, old value":         {true, []operation{op(0, 1, set, done, 1), op(2, 9, set, done, 2), op(3, 4, get, done, 1)}},
		"overlapping write, new value":         {true, []operation{op(0, 1, set, done, 1), op(2, 9, set, done, 2), op(3, 4, get, done, 2)}},
		"new, then old":                        {false, []operation{op(0, 1, set, done, 1), op(2, 9, set, done, 2), op(3, 4, get, done, 2), op(5, 6, get, done, 1)}},
		"lost write":                           {false, []operation{op(0, 1, set, done, 1), op(2, 3, get, missing, 0)}},
		"stale read":                           {false, []operation{op(0, 1, set, done, 1), op(2, 3, set, done, 2), op(4, 5, get, done, 1)}},
		"resurrected":                          {false, []operation{op(0, 1, set, done, 1), op(2, 3, remove, done, 0), op(4, 5, has, done, 0)}},
		"remove twice":                         {false, []operation{op(0, 1, set, done, 1), op(2, 5, remove, done, 0), op(2, 5, remove, done, 0)}},
		"remove once of two":                   {true, []operation{op(0, 1, set, done, 1), op(2, 5, remove, done, 0), op(2, 5, remove, missing, 0)}},
		"remove of nothing":                    {false, []operation{op(0, 1, remove, done, 0)}},
		"missing although there":               {false, []operation{op(0, 1, set, done, 1), op(2, 3, remove, missing, 0)}},
		"open write took effect late":          {true, []operation{op(0, 0, set, open, 1), op(2, 3, get, missing, 0), op(4, 5, get, done, 1)}},
		"open write never did":                 {true, []operation{op(0, 0, set, open, 1), op(2, 3, get, missing, 0), op(4, 5, get, missing, 0)}},
		"open write took effect and vanished":  {false, []operation{op(0, 0, set, open, 1), op(2, 3, get, done, 1), op(4, 5, get, missing, 0)}},
		"open remove explains it":              {true, []operation{op(0, 1, set, done, 1), op(2, 0, remove, open, 0), op(4, 5, get, done, 1), op(6, 7, get, missing, 0)}},
		"foreign value":                        {false, []operation{op(0, 1, set, done, 1), op(2, 3, get, done, foreign)}},
		"cleared":                              {true, []operation{op(0, 1, set, done, 1), op(2, 3, clearAll, done, 0), op(4, 5, get, missing, 0)}},
		"not cleared":                          {false, []operation{op(0, 1, set, done, 1), op(2, 3, clearAll, done, 0), op(4, 5, get, done, 1)}},
		"open clear":                           {true, []operation{op(0, 1, set, done, 1), op(2, 0, clearAll, open, 0), op(4, 5, get, done, 1), op(6, 7, get, missing, 0)}},
		"a scan saw it":                        {true, []operation{op(0, 1, set, done, 1), op(2, 5, scanned, done, 1)}},
		"a scan missed it":                     {false, []operation{op(0, 1, set, done, 1), op(2, 5, scanned, missing, 0)}},
		"a clear after the last answer":        {true, []operation{op(0, 1, set, done, 1), op(2, 3, get, done, 1), op(5, 6, clearAll, done, 0)}},
		"an open set overwritten by its equal": {true, []operation{op(0, 0, set, open, 1), op(1, 2, set, done, 2), op(3, 4, get, done, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			got := scripted(c.ops...).Check(context.Background(), time.Second, nil)
			if got.Passed() != c.legal {
				t.Fatalf("legal: %v, want %v (%+v)", got.Passed(), c.legal, got)
			}
			if !c.legal && (len(got.Violations) != 1 || !strings.Contains(got.Violations[0].Reason, "nothing that happened before explains") || len(got.Violations[0].History) == 0) {
				t.Errorf("the violation is not explained: %+v", got.Violations)
			}
		})
	}
}

// TestTheCulpritIsNamed checks that the explanation of a long history names the first answer that
// does not fit.
func TestTheCulpritIsNamed(t *testing.T) {
	var ops []operation
	for i := range 50 {
		ops = append(ops, op(4*i, 4*i+1, set, done, opValue(i+1)), op(4*i+2, 4*i+3, get, done, opValue(i+1)))
	}
	ops[61].Value = 3 // stale
	v := scripted(ops...).Check(context.Background(), time.Second, nil).Violations
	if len(v) != 1 || !strings.Contains(v[0].Reason, "get v3") {
		t.Fatalf("got %+v", v)
	}
	marked := 0
	for _, line := range v[0].History {
		if strings.HasPrefix(line, "> ") {
			marked++
		}
	}
	if marked != 1 || len(v[0].History) > 2*shownAround {
		t.Errorf("%d lines, %d marked", len(v[0].History), marked)
	}
}

// TestUndecidedIsNoPass is K4: many open writes make the search long.
func TestUndecidedIsNoPass(t *testing.T) {
	var ops []operation
	for i := range 200 {
		ops = append(ops, op(0, 1000, set, done, opValue(i+1)), op(0, 1000, get, done, opValue(200-i)))
	}
	ops = append(ops, op(2000, 2001, get, done, foreign))
	if c := scripted(ops...).Check(context.Background(), time.Millisecond, nil); c.Passed() || c.Undecided+len(c.Violations) != 1 {
		t.Errorf("got %+v", c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if c := scripted(op(0, 1, set, done, 1)).Check(ctx, time.Second, nil); c.Passed() || c.Undecided != 1 {
		t.Errorf("a stopped check: %+v", c)
	}
}

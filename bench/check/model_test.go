package check

import (
	"context"
	"strings"
	"testing"
	"time"
)

// scripted returns the history of one key that has these operations.
func scripted(ops ...Operation) *History {
	h := newHistory()
	k := h.newKey("k")
	for _, o := range ops {
		if o.Result == Open {
			o.Return = forever
		}
		if o.Kind == Clear {
			h.clears = append(h.clears, o)
		} else {
			k.ops = append(k.ops, o)
		}
	}
	return h
}

func op(from, to int, kind Kind, result Result, value Value) Operation {
	return Operation{Kind: kind, Result: result, Value: value, Call: time.Duration(from), Return: time.Duration(to)}
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		legal bool
		ops   []Operation
	}{
		"read what was written":                {true, []Operation{op(0, 1, Set, Done, 1), op(2, 3, Get, Done, 1), op(4, 5, Has, Done, 0)}},
		"absent at first":                      {true, []Operation{op(0, 1, Get, Missing, 0), op(0, 1, Has, Missing, 0), op(2, 3, Remove, Missing, 0)}},
		"overlapping write, old value":         {true, []Operation{op(0, 1, Set, Done, 1), op(2, 9, Set, Done, 2), op(3, 4, Get, Done, 1)}},
		"overlapping write, new value":         {true, []Operation{op(0, 1, Set, Done, 1), op(2, 9, Set, Done, 2), op(3, 4, Get, Done, 2)}},
		"new, then old":                        {false, []Operation{op(0, 1, Set, Done, 1), op(2, 9, Set, Done, 2), op(3, 4, Get, Done, 2), op(5, 6, Get, Done, 1)}},
		"lost write":                           {false, []Operation{op(0, 1, Set, Done, 1), op(2, 3, Get, Missing, 0)}},
		"stale read":                           {false, []Operation{op(0, 1, Set, Done, 1), op(2, 3, Set, Done, 2), op(4, 5, Get, Done, 1)}},
		"resurrected":                          {false, []Operation{op(0, 1, Set, Done, 1), op(2, 3, Remove, Done, 0), op(4, 5, Has, Done, 0)}},
		"remove twice":                         {false, []Operation{op(0, 1, Set, Done, 1), op(2, 5, Remove, Done, 0), op(2, 5, Remove, Done, 0)}},
		"remove once of two":                   {true, []Operation{op(0, 1, Set, Done, 1), op(2, 5, Remove, Done, 0), op(2, 5, Remove, Missing, 0)}},
		"remove of nothing":                    {false, []Operation{op(0, 1, Remove, Done, 0)}},
		"missing although there":               {false, []Operation{op(0, 1, Set, Done, 1), op(2, 3, Remove, Missing, 0)}},
		"open write took effect late":          {true, []Operation{op(0, 0, Set, Open, 1), op(2, 3, Get, Missing, 0), op(4, 5, Get, Done, 1)}},
		"open write never did":                 {true, []Operation{op(0, 0, Set, Open, 1), op(2, 3, Get, Missing, 0), op(4, 5, Get, Missing, 0)}},
		"open write took effect and vanished":  {false, []Operation{op(0, 0, Set, Open, 1), op(2, 3, Get, Done, 1), op(4, 5, Get, Missing, 0)}},
		"open remove explains it":              {true, []Operation{op(0, 1, Set, Done, 1), op(2, 0, Remove, Open, 0), op(4, 5, Get, Done, 1), op(6, 7, Get, Missing, 0)}},
		"foreign value":                        {false, []Operation{op(0, 1, Set, Done, 1), op(2, 3, Get, Done, Foreign)}},
		"cleared":                              {true, []Operation{op(0, 1, Set, Done, 1), op(2, 3, Clear, Done, 0), op(4, 5, Get, Missing, 0)}},
		"not cleared":                          {false, []Operation{op(0, 1, Set, Done, 1), op(2, 3, Clear, Done, 0), op(4, 5, Get, Done, 1)}},
		"open clear":                           {true, []Operation{op(0, 1, Set, Done, 1), op(2, 0, Clear, Open, 0), op(4, 5, Get, Done, 1), op(6, 7, Get, Missing, 0)}},
		"a scan saw it":                        {true, []Operation{op(0, 1, Set, Done, 1), op(2, 5, Scanned, Done, 1)}},
		"a scan missed it":                     {false, []Operation{op(0, 1, Set, Done, 1), op(2, 5, Scanned, Missing, 0)}},
		"a clear after the last answer":        {true, []Operation{op(0, 1, Set, Done, 1), op(2, 3, Get, Done, 1), op(5, 6, Clear, Done, 0)}},
		"an open set overwritten by its equal": {true, []Operation{op(0, 0, Set, Open, 1), op(1, 2, Set, Done, 2), op(3, 4, Get, Done, 1)}},
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
	var ops []Operation
	for i := range 50 {
		ops = append(ops, op(4*i, 4*i+1, Set, Done, Value(i+1)), op(4*i+2, 4*i+3, Get, Done, Value(i+1)))
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
	var ops []Operation
	for i := range 200 {
		ops = append(ops, op(0, 1000, Set, Done, Value(i+1)), op(0, 1000, Get, Done, Value(200-i)))
	}
	ops = append(ops, op(2000, 2001, Get, Done, Foreign))
	if c := scripted(ops...).Check(context.Background(), time.Millisecond, nil); c.Passed() || c.Undecided+len(c.Violations) != 1 {
		t.Errorf("got %+v", c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if c := scripted(op(0, 1, Set, Done, 1)).Check(ctx, time.Second, nil); c.Passed() || c.Undecided != 1 {
		t.Errorf("a stopped check: %+v", c)
	}
}

func TestAvailability(t *testing.T) {
	s := int(time.Second)
	h := scripted(op(0, s/10, Set, Done, 1), op(s/2, s/2+s/5, Get, Done, 1), op(3*s, 3*s+s/10, Set, Done, 2))
	h.others = append(h.others, op(s, s+1, Set, Refused, 0), op(s, int(forever), Get, Open, 0))
	buckets, longest, bearable := h.Availability(5*time.Second, []Span{{0, 5 * time.Second}})
	if buckets[0].Good != 2 || buckets[1].Refused != 1 || buckets[1].Unknown != 1 || buckets[3].Good != 1 || buckets[0].Serving != 1 || buckets[0].Max == 0 {
		t.Errorf("got %+v", buckets)
	}
	if longest != 3*time.Second {
		t.Errorf("longest %v, want from 0.1 s to 3.1 s", longest)
	}
	if bearable != 0 {
		t.Errorf("%v are counted although nothing was to be expected", bearable)
	}
}

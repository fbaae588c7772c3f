package advice

import (
	"testing"

	"viakv/api/health"
)

// What to do follows from what can still be done, and from whether memory is lost.
func TestNext(t *testing.T) {
	reads := health.Verdict{N: 3, W: 2, Level: health.ReadsOnly, CanRead: true, Answering: 1, CopiesNeed: 2}
	writes := health.Verdict{N: 3, W: 2, Level: health.Degraded, CanRead: true, CanWrite: true, Answering: 2, CopiesNeed: 2}
	refuses := health.Verdict{N: 3, W: 2, Level: health.Refusing, Answering: 1, CopiesNeed: 2}
	two := health.Verdict{N: 2, W: 2, Level: health.Refusing, Answering: 1, CopiesNeed: 1}
	led := two
	led.Led = true
	with := func(v health.Verdict, lost, gone, away, full []string) *health.Verdict {
		v.Lost, v.Gone, v.Away, v.Full = lost, gone, away, full
		return &v
	}
	a, b := []string{"a"}, []string{"b", "c"}
	const back = " back into reach, without a restart if possible: a process that still runs has kept its memory"
	const steps = ", and says what that may lose; docs/majority-lost.md has all steps"
	for name, c := range map[string]struct {
		v    *health.Verdict
		http string
		want string
	}{
		"all is well":    {&health.Verdict{N: 3, Level: health.Serving, CanRead: true, CanWrite: true}, "h:1", ""},
		"outside":        {&health.Verdict{N: 3, Outside: true}, "h:1", ""},
		"no cluster":     {&health.Verdict{}, "h:1", ""},
		"full":           {with(reads, nil, nil, nil, b), "", "remove keys, clear, or raise --max-memory at b, c"},
		"gone":           {with(writes, a, a, nil, nil), "", "start a again: it rebuilds by itself; if it is gone for good, `viakv member leave a`"},
		"gone, away":     {with(writes, a, a, b, nil), "", "start a again: it rebuilds by itself; if it is gone for good, `viakv member leave a`"},
		"away":           {with(writes, nil, nil, a, nil), "", "bring a back into reach, or start again what has ended: it rebuilds by itself"},
		"rebuilds":       {with(writes, b, nil, nil, nil), "", "wait for the rebuild of b, c: `viakv member list` shows how far it is"},
		"weak, away":     {with(reads, nil, nil, a, nil), "", "bring a" + back},
		"weak, lost":     {with(reads, a, nil, nil, nil), "", "`viakv export FILE --r 1` copies what this node holds; after that `viakv member leave a --force` goes on without a" + steps},
		"none answers":   {with(refuses, nil, nil, b, nil), "h:1", "bring b, c" + back + "; otherwise `viakv export FILE --r 1 --endpoints h:1` copies what this node holds; after that `viakv member leave b --force --endpoints h:1` goes on without b" + steps},
		"all restarted":  {with(refuses, b, nil, nil, nil), "", "`viakv export FILE --r 1` copies what this node holds; after that `viakv member leave b --force` goes on without b" + steps},
		"first the lost": {with(refuses, b, nil, a, nil), "", "bring a" + back + "; otherwise `viakv export FILE --r 1` copies what this node holds; after that `viakv member leave b --force` goes on without b" + steps},
		// Each read of two members needs both, so no copy can be read first.
		"one of two":         {with(two, a, nil, nil, nil), "", "`viakv member leave a --force` goes on without a" + steps},
		"one of two, let in": {with(led, a, nil, nil, nil), "", "wait: a will be let in, and rebuild"},
		"one of two, silent": {with(led, nil, nil, a, nil), "", "bring a" + back + "; otherwise `viakv member leave a --force` goes on without a" + steps},
	} {
		if got := Next(c.v, c.http); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

package advice

import (
	"testing"

	"viakv/api/health"
)

// What to do follows from what can still be done, and from whether memory is lost.
func TestNext(t *testing.T) {
	reads := health.Verdict{N: 3, Level: health.ReadsOnly, CanRead: true}
	writes := health.Verdict{N: 3, Level: health.Degraded, CanRead: true, CanWrite: true}
	refuses := health.Verdict{N: 3, Level: health.Refusing}
	with := func(v health.Verdict, lost, gone, away, full []string) *health.Verdict {
		v.Lost, v.Gone, v.Away, v.Full = lost, gone, away, full
		return &v
	}
	a, b := []string{"a"}, []string{"b", "c"}
	for name, c := range map[string]struct {
		v    *health.Verdict
		http string
		want string
	}{
		"all is well": {&health.Verdict{N: 3, Level: health.Serving, CanRead: true, CanWrite: true}, "h:1", ""},
		"outside":     {&health.Verdict{N: 3, Outside: true}, "h:1", ""},
		"no cluster":  {&health.Verdict{}, "h:1", ""},
		"full":        {with(reads, nil, nil, nil, b), "", "remove keys, clear, or raise --max-memory at b, c"},
		"gone":        {with(writes, a, a, nil, nil), "", "start a again: it rebuilds by itself; if it is gone for good, `viakv member leave a`"},
		"gone, away":  {with(writes, a, a, b, nil), "", "start a again: it rebuilds by itself; if it is gone for good, `viakv member leave a`"},
		"away":        {with(writes, nil, nil, a, nil), "", "bring a back into reach; if its process has ended, start it again: it rebuilds by itself"},
		"rebuilds":    {with(writes, a, nil, nil, nil), "", "wait until a has rebuilt: `viakv member list` shows how far it is"},
		"weak, away":  {with(reads, nil, nil, a, nil), "", "bring a back into reach, without a restart if possible: a process that still runs has kept its memory"},
		"none answers": {with(refuses, nil, nil, b, nil), "h:1", "bring b, c back into reach, without a restart if possible: a process that still runs has kept its memory; otherwise " +
			"`viakv member leave b --force --endpoints h:1` goes on without it, and says what that may lose; docs/majority-lost.md has all steps"},
		"all restarted": {with(refuses, b, nil, nil, nil), "", "`viakv member leave b --force` goes on without it, and says what that may lose; docs/majority-lost.md has all steps"},
		"first the lost": {with(refuses, b, nil, a, nil), "", "bring a back into reach, without a restart if possible: a process that still runs has kept its memory; otherwise " +
			"`viakv member leave b --force` goes on without it, and says what that may lose; docs/majority-lost.md has all steps"},
	} {
		if got := Next(c.v, c.http); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

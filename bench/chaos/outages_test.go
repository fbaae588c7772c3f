package chaos

import (
	"slices"
	"testing"
	"time"
)

// What happens to a node shows at its own callers alone, and each outage is told once a round.
func TestGapsAreThoseOfTheOthers(t *testing.T) {
	l := lab(t, config(t, 2))
	var named []Outage
	for _, name := range []string{"nothing", "kill -9", "start after kill -9", "SIGTERM", "start after SIGTERM", "SIGSTOP for 30 ms", "a clear"} {
		at := slices.IndexFunc(Outages, func(o Outage) bool { return o.Name == name })
		if at < 0 {
			t.Fatalf("there is no %q", name)
		}
		named = append(named, Outages[at])
	}
	told := 0
	err := l.MeasureGaps(t.Context(), named, 2, 100*time.Millisecond, func(o Outage, node int, gaps []Gap, _ time.Duration) {
		if o.Name != named[told%len(named)].Name || node != told/len(named) {
			t.Errorf("told of %s of node %d as number %d", o.Name, node, told)
		}
		told++
		nodes := 1
		if o.ToNobody {
			nodes = 2
		}
		if len(gaps) != nodes*int(gapKinds) {
			t.Errorf("%s: %d gaps", o.Name, len(gaps))
		}
		for _, g := range gaps {
			if !o.ToNobody && g.Node == node || g.Answers == 0 || g.Longest <= 0 || g.Refused+g.Unknown+g.Lost > 0 {
				t.Errorf("%s of node %d: %+v", o.Name, node, g)
			}
		}
	})
	if err != nil || told != 2*len(named) {
		t.Errorf("told %d times, %v", told, err)
	}
	if crashes := l.Crashes(); len(crashes) > 0 {
		t.Error(crashes)
	}
}

// A node that is paused answers nothing for so long, and one that does not answer at all is counted
// as lost.
func TestAPauseIsAGap(t *testing.T) {
	l := lab(t, config(t, 1))
	w, err := l.watchGaps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.stopAll()
	time.Sleep(100 * time.Millisecond) // they answer
	l.Pause(0)
	for late := true; late; { // what was answered before is read afterwards
		w.reset()
		time.Sleep(100 * time.Millisecond)
		gaps, _ := w.reset()
		late = slices.ContainsFunc(gaps, func(g Gap) bool { return g.Answers > 0 })
	}
	time.Sleep(200 * time.Millisecond)
	l.Resume(0)
	time.Sleep(100 * time.Millisecond)
	gaps, _ := w.reset()
	for _, g := range gaps {
		if g.Longest < 200*time.Millisecond {
			t.Errorf("%v: %v", g.Kind, g.Longest)
		}
	}
	l.Kill(0)
	time.Sleep(100 * time.Millisecond)
	gaps, _ = w.reset()
	for _, g := range gaps {
		if g.Lost == 0 {
			t.Errorf("%v: %+v", g.Kind, g)
		}
	}
}

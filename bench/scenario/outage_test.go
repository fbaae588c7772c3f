package scenario_test

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"viakv/bench/chaos"
	"viakv/bench/report"
	"viakv/bench/runner"
	"viakv/bench/scenario"
)

// built builds viakv and returns its path.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "viakv")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "viakv/cmd/viakv").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// during runs a scenario on three nodes that hold all keys, and kills some of them when its first
// second is over.
func during(t *testing.T, binary string, s scenario.Spec, targets, killed []int) *report.Report {
	t.Helper()
	lab, err := chaos.StartCalm(t.Context(), binary, t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	fill := spec("load", lab.Endpoints()...)
	fill.SkipCheck = true
	if r := run(t, fill); !r.Passed {
		t.Fatal(r.Reason)
	}
	for _, i := range targets {
		s.Targets = append(s.Targets, lab.Endpoints()[i])
	}
	s.Duration = scenario.Duration(5 * time.Second)
	var once sync.Once
	var killing sync.WaitGroup
	r, err := scenario.Run(t.Context(), s, scenario.Tools{}, scenario.Events{Sample: func(runner.Sample) {
		once.Do(func() {
			for _, i := range killed {
				killing.Go(func() { lab.Kill(i) })
			}
		})
	}})
	killing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestARunDuringAnOutageDoesNotPass kills real nodes in a run.
func TestARunDuringAnOutageDoesNotPass(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs real clusters")
	}
	binary := built(t)
	all := []int{0, 1, 2}
	for name, c := range map[string]struct {
		rate            float64
		targets, killed []int
		want            string // in the reason
	}{
		"an open loop whose only target dies":   {300, []int{0}, []int{0}, "connections not made; at most 1 %"},
		"an open loop that loses its majority":  {300, []int{0}, []int{1, 2}, "were not served"},
		"a closed loop that loses its majority": {0, all, []int{1, 2}, "were not served"},
		"a closed loop, and one of three dies":  {0, all, []int{2}, "without an answer for"},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec("run")
			s.Rate = c.rate
			r := during(t, binary, s, c.targets, c.killed)
			if r.Passed {
				t.Errorf("it passed: %d good, %d dropped, %+v", r.Load.Good, r.Load.Dropped, r.Load.Errors)
			}
			// Killed after one second of five.
			if c.rate > 0 && 3*r.Load.Unserved() < r.Load.Requests() {
				t.Errorf("%s", r.Load.NotServed())
			}
			if !strings.Contains(r.Reason, c.want) {
				t.Errorf("the reason %q lacks %q", r.Reason, c.want)
			}
			var page bytes.Buffer
			if err := r.WriteHTML(&page); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"<small>refused</small>", "<small>failed</small>", "<small>misses</small>", `class="verdict failed"`} {
				if !strings.Contains(page.String(), want) {
					t.Errorf("the page lacks %s", want)
				}
			}
		})
	}
}

func TestARunWhoseKeysAreMissingDoesNotPass(t *testing.T) {
	url := target(t)
	if r := run(t, spec("load", url)); !r.Passed {
		t.Fatal(r.Reason)
	}
	for _, c := range []struct {
		name   string
		change func(*scenario.Spec)
		passes bool
	}{
		{"all are there", func(*scenario.Spec) {}, true},
		{"all are missing", func(s *scenario.Spec) { s.Prefix = "other-" }, false},
		{"half are missing", func(s *scenario.Spec) { s.Keys, s.Distribution = 1000, "uniform" }, false},
		{"all are missing, which was asked for", func(s *scenario.Spec) { s.Prefix, s.MaxMisses = "other-", 100 }, true},
		{"the mix removes, but far less", func(s *scenario.Spec) { s.Mix, s.Prefix, s.Keys = "get=97,set=2,rm=1", "also-", 1_000_000 }, false},
		{"the mix removes what is missing", func(s *scenario.Spec) { s.Mix, s.Distribution = "get=60,set=20,rm=20", "uniform" }, true},
	} {
		s := spec("run", url)
		s.Mix, s.Duration = "c", scenario.Duration(time.Second)
		c.change(&s)
		r := run(t, s)
		if r.Passed != c.passes || !r.Passed && !strings.Contains(r.Reason, "found no key") {
			t.Errorf("%s: passed %v, %q: %d of %d", c.name, r.Passed, r.Reason, r.Load.Missing, r.Load.Good)
		}
	}
	s := spec("find-max", url)
	s.Prefix, s.Objective, s.Duration = "other-", "p50<10s", scenario.Duration(300*time.Millisecond)
	if r := run(t, s); r.Passed || !strings.Contains(r.Reason, "found no key") {
		t.Errorf("find-max: passed %v, %q", r.Passed, r.Reason)
	}
	s = spec("scan", url)
	s.Prefix, s.SkipCheck, s.Beside = "other-", true, 200
	if r := run(t, s); r.Passed || !strings.Contains(r.Reason, "the load without scans: ") || !strings.Contains(r.Reason, "found no key") {
		t.Errorf("scan: passed %v, %q", r.Passed, r.Reason)
	}
}

// TestGapsAreMeasured stops a measurement of gaps in its midst. What was measured by then is in the
// report, which has not passed.
func TestGapsAreMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a real cluster")
	}
	s := scenario.Default("gaps")
	s.Rounds, s.Binary = 1, built(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines := 0
	r, err := scenario.Gaps(ctx, s, scenario.Tools{}, scenario.Events{Log: func(string) {
		if lines++; lines == 3 { // that it founds a cluster, and two outages
			stop()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Gaps) != 2 || r.Passed || !strings.Contains(r.Reason, "stopped before its end") {
		t.Fatalf("passed %v, %q: %+v", r.Passed, r.Reason, r.Gaps)
	}
	for _, g := range r.Gaps {
		if g.Good == 0 || g.Get == 0 || g.HotGet == 0 || g.Set == 0 || g.Rounds != 1 {
			t.Errorf("%+v", g)
		}
	}
	var out bytes.Buffer
	if err := r.WriteText(&out); err != nil || !strings.Contains(out.String(), "\nkill -9 ") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

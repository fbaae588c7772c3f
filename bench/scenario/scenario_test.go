package scenario_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"viakv/api"
	"viakv/api/apitest"
	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/bench"
	"viakv/bench/baseline"
	"viakv/bench/report"
	"viakv/bench/runner"
	"viakv/bench/scenario"
	"viakv/quorum/version"
)

// bareNode in the environment makes the test's own binary a server of the baseline.
const bareNode = "VIAKV_BARE_NODE"

func TestMain(m *testing.M) {
	if os.Getenv(neighbour) != "" {
		measureNeighbour()
	}
	if os.Getenv(bareNode) == "" {
		apitest.VerifyNoLeaks(m)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(baseline.Ready + l.Addr().String())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_ = baseline.Serve(l)
}

// target runs the real API over a reference store until the test ends, and returns its URL.
func target(t testing.TB) string {
	t.Helper()
	return apitest.Serve(t, api.Config{Name: "node-a", Version: "test"})
}

func spec(name string, targets ...string) scenario.Spec {
	s := scenario.Default(name)
	s.Targets, s.Keys, s.Connections = targets, 500, 4
	s.Warmup, s.Duration = 0, scenario.Duration(500*time.Millisecond)
	return s
}

func run(t *testing.T, s scenario.Spec) *report.Report {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := scenario.Run(t.Context(), s, scenario.Tools{Baseline: baseline.Command{Path: self}}, scenario.Events{Log: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEveryScenarioOnARunningTarget(t *testing.T) {
	t.Setenv(bareNode, "1")
	url := target(t)
	r := run(t, spec("load", url))
	if !r.Passed || r.Load.Good != 500 || len(r.Scans) != 1 || r.Flags["keys"] != "500" || r.Flags["clients"] != "" {
		t.Errorf("load: %+v", r)
	}
	s := spec("run", url)
	s.Mix, s.Verify = "get=80,set=20", true
	if r = run(t, s); !r.Passed || r.Load.Good == 0 || r.Load.Errors.Sum() != 0 || !strings.Contains(r.Environment.Target, "viakv test") {
		t.Errorf("run: %+v", r)
	}
	s.Baseline, s.Duration = 2, scenario.Duration(2*time.Second)
	if r = run(t, s); r.Baseline == nil || len(r.Baseline.Ratios) != 2 || r.Baseline.Ratio <= 0 || r.Baseline.Load.Errors.Sum() != 0 || r.Baseline.Load.Missing != 0 {
		t.Errorf("with the baseline: %+v", r.Baseline)
	}
	s = spec("find-max", url)
	s.Objective, s.Duration = "p99<10s", scenario.Duration(200*time.Millisecond)
	if r = run(t, s); !r.Passed || len(r.Steps) == 0 || r.Load == nil {
		t.Errorf("find-max: %+v", r)
	}
	s.Objective = "p50<1us"
	if r = run(t, s); r.Passed || !strings.Contains(r.Reason, "no rate met") {
		t.Errorf("find-max beyond reach: %+v", r)
	}
	s = spec("scan", url)
	// Beside scans of some milliseconds, a busy machine lets arrivals wait until all is over. These
	// count as dropped.
	s.Beside, s.Rounds, s.MaxErrors = 200, 2, 100
	if r = run(t, s); !r.Passed || len(r.Scans) != 6 || r.Beside == nil || r.Beside.Quiet.Errors.Sum()+r.Beside.During.Errors.Sum() != 0 {
		t.Errorf("scan: %v %s, %d scans, beside them %+v", r.Passed, r.Reason, len(r.Scans), r.Beside)
	}
	s.Beside, s.Baseline, s.MaxErrors = 0, 2, spec("scan").MaxErrors
	if r = run(t, s); !r.Passed || r.Baseline == nil || len(r.Baseline.Scans) != 6 || r.Baseline.Scans[5].Pairs != 500 || len(r.Baseline.Ratios) != 6 || r.Baseline.Ratio <= 0 {
		t.Errorf("scan with the baseline: %v %s, %+v", r.Passed, r.Reason, r.Baseline)
	}
	if text := new(strings.Builder); r.WriteText(text) != nil || !strings.Contains(text.String(), "; a bare server: ") || !strings.Contains(text.String(), "of the baseline (getAll ") {
		t.Errorf("it says %s", text)
	}
	if err := r.WriteHTML(io.Discard); err != nil {
		t.Error(err)
	}
	s.Keys, s.Baseline = 600, 0
	if r = run(t, s); r.Passed || !strings.Contains(r.Reason, "100 keys missing") {
		t.Errorf("scan of too few: %v %s", r.Passed, r.Reason)
	}
	s = spec("check", url, url)
	s.Duration = scenario.Duration(1200 * time.Millisecond)
	if r = run(t, s); !r.Passed || r.Check.Operations == 0 {
		t.Errorf("check: %+v", r.Check)
	}
	if r = run(t, spec("check", url, target(t))); r.Passed || !strings.Contains(r.Reason, "not linearizable") {
		t.Errorf("check of two stores: %+v", r.Check)
	}
}

// refusing is a store that answers scans and sets, and refuses gets.
type refusing struct{ kvtest.Reference }

func (*refusing) Get(context.Context, []byte, []byte, kv.Options) ([]byte, version.Tag, error) {
	return nil, version.Tag{}, &kv.Unavailable{Outcome: kv.None, Reason: "it has to"}
}

// A scan run does not pass if the load beside its scans is not served, though the scans are whole.
func TestScansBesideALoadThatIsRefused(t *testing.T) {
	url := apitest.Serve(t, api.Config{Store: &refusing{}, Name: "node-a", Version: "test"})
	if r := run(t, spec("load", url)); !r.Passed {
		t.Fatal(r.Reason)
	}
	s := spec("scan", url)
	s.Beside = 200
	r := run(t, s)
	if r.Passed || !strings.Contains(r.Reason, "the load without scans: ") || r.Beside.Quiet.Errors.Refused == 0 {
		t.Errorf("passed: %v, %s, beside the scans %+v", r.Passed, r.Reason, r.Beside)
	}
	for _, v := range r.Scans {
		if !v.Complete() {
			t.Errorf("%+v", v)
		}
	}
}

func TestTargetsThatWillNotDo(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	for url, want := range map[string]string{
		"http://127.0.0.1:1":  "cannot be reached",
		other.URL:             "no viakv",
		"http://192.0.2.1:80": "allow-remote",
		"ftp://127.0.0.1":     "http://",
	} {
		_, err := scenario.Run(t.Context(), spec("run", url), scenario.Tools{}, scenario.Events{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
	s := spec("run", "http://192.0.2.1:80")
	if _, err := scenario.Run(t.Context(), s, scenario.Tools{}, scenario.Events{}); !errors.Is(err, bench.ErrRemote) {
		t.Errorf("got %v", err)
	}
	s = spec("run", target(t))
	for _, file := range []string{filepath.Join(t.TempDir(), "none"), os.Args[0]} {
		s.CAFile = file
		if _, err := scenario.Run(t.Context(), s, scenario.Tools{}, scenario.Events{}); err == nil {
			t.Errorf("%s was taken for an authority", file)
		}
	}
	s = spec("chaos")
	s.Binary = "/nowhere/viakv"
	if _, err := scenario.Run(t.Context(), s, scenario.Tools{}, scenario.Events{}); err == nil || !strings.Contains(err.Error(), "/nowhere/viakv") {
		t.Errorf("got %v", err)
	}
	if _, err := scenario.Growth(t.Context(), s, nil, scenario.Tools{}, scenario.Events{}); err == nil {
		t.Error("growth without a size")
	}
	s = spec("run", target(t))
	s.Baseline = 1
	if _, err := scenario.Run(t.Context(), s, scenario.Tools{Baseline: baseline.Command{Path: "/bin/true"}}, scenario.Events{}); err == nil {
		t.Error("a baseline that does not serve was used")
	}
}

// TestClustersOfItsOwn builds viakv and runs it, which takes a while.
func TestClustersOfItsOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs real clusters")
	}
	s := spec("chaos")
	s.Duration, s.LogDir, s.Timeout, s.Faults = scenario.Duration(6*time.Second), t.TempDir(), scenario.Duration(2*time.Second), []string{"kill", "cut", "delay"}
	r := run(t, s)
	if !r.Passed || r.Check.Operations < 100 || r.Check.Operations <= r.Check.Unknown || r.Check.Legal == 0 || len(r.Chaos.Faults) == 0 || len(r.Chaos.Buckets) < 6 {
		t.Errorf("chaos: %s %+v", r.Reason, r.Check)
	}
	s = spec("run")
	s.Mix = "a"
	r, err := scenario.Stress(t.Context(), s, scenario.Tools{Commit: "abc"}, scenario.Events{})
	if err != nil || !r.Passed || r.Load.Good == 0 || r.Load.Missing != 0 || len(r.Scans) != 3 || !r.Scans[0].Complete() || r.Environment.Commit == "" || r.Flags["nodes"] != "3" {
		t.Errorf("stress: %+v, %v", r, err)
	}
	s = spec("load")
	r, err = scenario.Growth(t.Context(), s, []uint64{200, 400}, scenario.Tools{}, scenario.Events{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Growth) != 2 || !r.Passed {
		t.Fatalf("growth: %s %+v", r.Reason, r.Growth)
	}
	for _, g := range r.Growth {
		if g.LoadRate <= 0 || g.GetRate <= 0 || g.SetRate <= 0 || g.ScanSeconds <= 0 {
			t.Errorf("got %+v", g)
		}
	}
}

func TestGrowthWithinItsTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	s := spec("load")
	s.Binary = "/bin/true"
	if r, err := scenario.Growth(ctx, s, []uint64{10}, scenario.Tools{}, scenario.Events{}); err == nil {
		t.Errorf("without time: %+v", r)
	}
	if _, err := scenario.Growth(t.Context(), s, []uint64{100_000_000_000}, scenario.Tools{}, scenario.Events{}); runtime.GOOS == "linux" && (err == nil || !strings.Contains(err.Error(), "MiB are free")) {
		t.Errorf("more keys than fit: %v", err)
	}
	s.Keys = 0
	if _, err := scenario.Stress(t.Context(), s, scenario.Tools{}, scenario.Events{}); err == nil {
		t.Error("stress without keys")
	}
	s.Keys, s.Binary = 10, "/nowhere/viakv"
	if _, err := scenario.Stress(t.Context(), s, scenario.Tools{}, scenario.Events{}); err == nil || !strings.Contains(err.Error(), "/nowhere/viakv") {
		t.Errorf("got %v", err)
	}
}

func TestARateBeyondReach(t *testing.T) {
	url := target(t)
	if r := run(t, spec("load", url)); !r.Passed {
		t.Fatalf("load: %+v", r)
	}
	s := spec("run", url)
	s.Rate, s.Connections, s.Timeout = runner.MaxRate, 1, scenario.Duration(3*time.Second)
	if r := run(t, s); r.Passed || !strings.Contains(r.Reason, "cannot be reached") {
		t.Errorf("%v %s: %d good, %d dropped, %+v", r.Passed, r.Reason, r.Load.Good, r.Load.Dropped, r.Load.Errors)
	}
	s.Rate, s.Duration = 1, scenario.Duration(1500*time.Millisecond)
	if r := run(t, s); !r.Passed || r.Load.Good == 0 {
		t.Errorf("one a second: %+v", r)
	}
}

// neighbour in the environment makes the test's own binary the program that measures neighbours.
// Its value says what the program does.
const neighbour = "VIAKV_NEIGHBOUR"

func measureNeighbour() {
	f := flag.NewFlagSet("", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	given := map[string]*string{}
	for _, name := range []string{"target", "out", "keys", "mix", "distribution", "connections", "pipeline", "rate", "duration", "key-size", "value-size", "seed"} {
		given[name] = f.String(name, "", "")
	}
	f.Bool("allow-remote", false, "")
	if err := f.Parse(os.Args[1:]); err != nil || os.Getenv(neighbour) == "fail" {
		fmt.Fprintln(os.Stderr, "nobody is there", err)
		os.Exit(1)
	}
	r := report.New("run", *given["target"]+" "+*given["keys"]+" "+*given["mix"]+" "+*given["duration"], time.Now(), nil)
	switch os.Getenv(neighbour) {
	case "measure":
		r.Load = &report.Load{Throughput: 1e-3}
	case "refuse":
		r.Load = &report.Load{Throughput: 1e-3, Good: 1, Errors: runner.Errors{Refused: 9}}
	}
	file, err := os.Create(filepath.Join(*given["out"], "against.json"))
	if err == nil {
		err = errors.Join(r.WriteJSON(file), file.Close())
	}
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func TestNeighbours(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := spec("run", target(t))
	s.Against, s.AllowRemote, s.MaxMisses = []string{"redis://127.0.0.1:6379"}, true, 100
	if _, err := scenario.Run(t.Context(), s, scenario.Tools{}, scenario.Events{}); err == nil || !strings.Contains(err.Error(), "make build-against") {
		t.Errorf("without the program: %v", err)
	}
	for does, want := range map[string]string{"measure": "", "fail": "nobody is there", "nothing": "no load", "refuse": "is no measure: 9 of 10 requests (90.0%) were not served: 9 refused"} {
		t.Setenv(neighbour, does)
		r, err := scenario.Run(t.Context(), s, scenario.Tools{Against: self}, scenario.Events{})
		if err != nil || r.Load.Good == 0 {
			t.Fatalf("%s: %+v, %v", does, r, err)
		}
		if want != "" {
			if r.Passed || !strings.Contains(r.Reason, want) || len(r.Against) != 0 && does != "refuse" {
				t.Errorf("%s: %v %q", does, r.Passed, r.Reason)
			}
			continue
		}
		if !r.Passed || len(r.Against) != 1 || r.Against[0].Name != s.Against[0] || r.Against[0].Ratio < 1 {
			t.Errorf("%s: %+v %s", does, r.Against, r.Reason)
		}
	}
	s.Against = []string{"mysql://127.0.0.1"}
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "redis://") {
		t.Errorf("got %v", err)
	}
}

func TestStopping(t *testing.T) {
	s := spec("run", target(t))
	s.Duration = scenario.Duration(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := scenario.Run(ctx, s, scenario.Tools{}, scenario.Events{Sample: func(runner.Sample) { cancel() }})
	if err != nil || r.Passed || r.Load.Good == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestSpecFaultsAreAllReported(t *testing.T) {
	s := scenario.Default("run")
	s.Mix, s.Distribution, s.KeySize, s.R, s.Objective, s.Scans = "x", "y", "z", "-1", "fast", []string{"getNothing"}
	s.Connections, s.Rate, s.Keys, s.Duration, s.MaxMisses = 0, -1, 0, -1, 101
	err := s.Validate()
	for _, part := range []string{"no target", "mix", "size", "quorum", "objective", "getNothing", "connections", "rates", "keys", "duration", "in percent"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v\ndoes not name: %s", err, part)
		}
	}
	s = scenario.Default("scan")
	s.Targets, s.Baseline, s.Beside = []string{"http://127.0.0.1:1"}, 1, 100
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "the target alone") {
		t.Errorf("a load beside scans of the baseline: %v", err)
	}
	for _, name := range scenario.Names {
		s := scenario.Default(name)
		s.Targets, s.R, s.W = []string{"http://127.0.0.1:1"}, "quorum", "all"
		if err := s.Validate(); err != nil {
			t.Errorf("the defaults of %s: %v", name, err)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"viakv/bench"
	"viakv/bench/baseline"
	"viakv/bench/scenario"
	"viakv/bench/service"
	"viakv/cmd/cliutil"
)

// command runs a command line and returns what it printed.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestFromLoadToComparison(t *testing.T) {
	url, dir := target(t), t.TempDir()
	out, err := command(t, "load", "-t", url, "--keys", "2k", "-c", "4")
	if err != nil || !strings.Contains(out, "complete: all 2,000 keys") {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"one", "two"} {
		out, err = command(t, "run", "-t", url, "--keys", "2k", "-c", "2", "-d", "1500ms", "--warm-up", "0s", "--rate", "300", "--verify", "-o", dir, "--name", name)
		if err != nil || !strings.Contains(out, "open loop at 300/s") || !strings.Contains(out, "elapsed") || !strings.Contains(out, "wrote "+filepath.Join(dir, name+".html")) {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	out, err = command(t, "compare", filepath.Join(dir, "one.json"), filepath.Join(dir, "two.json"))
	if err != nil || !strings.Contains(out, "throughput") || !strings.Contains(out, "p99.9") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = command(t, "show", filepath.Join(dir, "one.json"))
	if err != nil || !strings.Contains(out, "run of mix b") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = command(t, "scan", "-t", url, "--keys", "3000", "-q")
	if !errors.Is(err, errNotPassed) || !strings.Contains(out, "1000 keys missing") {
		t.Errorf("a store that lacks keys: %v\n%s", err, out)
	}
	out, err = command(t, "run", "-t", url, "--keys", "2k", "--prefix", "other-", "-m", "c", "-c", "2", "-d", "1s", "--warm-up", "0s", "-q", "-o", dir, "--name", "missing")
	page, fault := os.ReadFile(filepath.Join(dir, "missing.html"))
	if !errors.Is(err, errNotPassed) || !strings.Contains(out, "(100.0%) found no key") || fault != nil || !strings.Contains(string(page), `class="verdict failed"`) {
		t.Errorf("a run whose keys are all missing: %v, %v\n%s", err, fault, out)
	}
	if out, err = command(t, "run", "-t", url, "--prefix", "other-", "-m", "c", "-c", "2", "-d", "1s", "--warm-up", "0s", "-q", "--max-misses", "100"); err != nil {
		t.Errorf("misses that were asked for: %v\n%s", err, out)
	}
	if out, err = command(t, "check", "-t", url, "-d", "1s"); err != nil || !strings.Contains(out, "linearizable") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestMistakesOnTheCommandLine(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		want  string
		usage bool
	}{
		"unknown flag":     {[]string{"run", "--speed", "9"}, "unknown flag", true},
		"bad mix":          {[]string{"run", "--mix", "zz"}, "choose a, b, c, d or f", true},
		"bad count":        {[]string{"load", "--keys", "many"}, "many", true},
		"bad rate":         {[]string{"run", "--rate", "-1"}, "rates", true},
		"nothing there":    {[]string{"run", "-t", "http://127.0.0.1:1"}, "cannot be reached", false},
		"another machine":  {[]string{"run", "-t", "http://192.0.2.1"}, "--allow-remote", false},
		"no report":        {[]string{"show", "/nowhere.json"}, "nowhere", false},
		"not two":          {[]string{"compare", "/nowhere.json"}, "2", true},
		"no such before":   {[]string{"compare", "/nowhere.json", "/nowhere.json"}, "nowhere", false},
		"no such command":  {[]string{"gallop"}, "unknown command", true},
		"a word too many":  {[]string{"growth", "10k"}, "10k", true},
		"slo alone":        {[]string{"run", "--slo", "p99<5ms"}, "--find-max", true},
		"a rate to find":   {[]string{"run", "--find-max", "--rate", "5"}, "leave out --rate", true},
		"no neighbour":     {[]string{"run", "--against", "mysql://x"}, "redis://", true},
		"stress of nobody": {[]string{"stress", "--viakv", "/nowhere"}, "nowhere", false},
		"gaps of nobody":   {[]string{"gaps", "--viakv", "/nowhere"}, "nowhere", false},
		"too many nodes":   {[]string{"gaps", "--nodes", "8"}, "nodes", false},
		"bad size":         {[]string{"growth", "--sizes", "0"}, "size", true},
		"no such binary":   {[]string{"chaos", "--viakv", "/nowhere"}, "nowhere", false},
		"unknown fault":    {[]string{"chaos", "--viakv", "/bin/true", "--faults", "quake"}, "quake", false},
		"taken address":    {[]string{"serve", "--http", "256.0.0.1:1", "-o", t.TempDir()}, "--http", false},
		"directory a file": {[]string{"serve", "-o", "/dev/null"}, "not a directory", false},
	} {
		_, err := command(t, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) || cliutil.IsUsage(err) != c.usage {
			t.Errorf("%s: got %v (usage %v), want %q", name, err, cliutil.IsUsage(err), c.want)
		}
	}
	_, err := command(t, "run", "-t", "http://192.0.2.1")
	if !errors.Is(err, bench.ErrRemote) {
		t.Errorf("got %v", err)
	}
}

func TestFlagsComeFromTheEnvironment(t *testing.T) {
	t.Setenv("BENCH_TARGET", target(t))
	t.Setenv("BENCH_KEYS", "150")
	if out, err := command(t, "load", "-q"); err != nil || !strings.Contains(out, "load of 150 keys") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := command(t, "load", "-q", "--keys", "160"); err != nil || !strings.Contains(out, "load of 160 keys") {
		t.Errorf("a flag must win: %v\n%s", err, out)
	}
	t.Setenv("BENCH_KEYS", "x")
	if _, err := command(t, "load"); err == nil || !strings.Contains(err.Error(), "BENCH_KEYS") {
		t.Errorf("got %v", err)
	}
}

func TestTheBaselineEndsWithItsInput(t *testing.T) {
	in, end := io.Pipe()
	out := make(lineWriter, 1)
	cmd := root()
	cmd.SetIn(in)
	cmd.SetOut(out)
	cmd.SetArgs([]string{"baseline"})
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(t.Context()) }()
	address, ok := strings.CutPrefix(strings.TrimSpace(<-out), baseline.Ready)
	if !ok {
		t.Fatal(address)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + address + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != 200 {
		t.Error(r.Status)
	}
	_ = end.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server has not ended with its input")
	}
}

// The program that has the drivers gets the options, and what it prints is shown.
func TestTheBaselineComparesWithStores(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := command(t, "baseline", "--against", "raft"); !errors.Is(err, scenario.ErrNoAgainst) {
		t.Errorf("got %v", err)
	}
	program := filepath.Join(dir, scenario.AgainstName)
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\"\n[ \"$3\" != /fails ]\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := command(t, "baseline", "--against", "raft"); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v", err)
	}
	out, err := command(t, "baseline", "--against", "raft,nats", "--viakv", "/viakv", "--keys", "2k", "--callers", "1,8", "--rounds", "5", "-d", "3s", "--nodes", "5", "--mixes", "get,b", "--wrk", "--together", "--pipeline", "16")
	if want := "turns --viakv /viakv --against raft,nats --nodes 5 --callers 1,8 --pipeline 16 --mixes get,b --keys 2000 --rounds 5 --duration 3s --wrk=true --beside-scan=false --together=true\n"; err != nil || out != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
	if _, err := command(t, "baseline", "--against", "raft", "--viakv", "/fails"); err == nil || !strings.Contains(err.Error(), "comparing with raft") {
		t.Errorf("got %v", err)
	}
}

// lineWriter sends what is written to it to a channel.
type lineWriter chan string

func (w lineWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

func TestTheServiceStopsWithItsContext(t *testing.T) {
	s, err := service.New(service.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveOn(ctx, s, l) }()
	// The stream does not end by itself.
	stream, err := http.Get("http://" + l.Addr().String() + "/api/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("serveOn has not returned")
	}
}

func TestProgressIsShown(t *testing.T) {
	var out, status bytes.Buffer
	s := &screen{out: &out, status: &status}
	e := s.events()
	e.Progress("load", 10, 100)
	s.told = time.Now().Add(-time.Hour)
	e.Progress("load", 50, 100)
	e.Log("a line")
	s.close()
	if !strings.Contains(status.String(), "load: 50 of 100") || out.String() != "a line\n" {
		t.Errorf("out %q, status %q", out.String(), status.String())
	}
	e.Progress("scan", 1, 0)
	s.close()
	if _, err := findTools(); err != nil {
		t.Error(err)
	}
	if isProgram(os.TempDir()) || !isProgram(os.Args[0]) {
		t.Error("a directory is a program, or this test is none")
	}
}

func TestAQuietGrowthShowsNoProgress(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // for the logs of the nodes, which end at once
	out, err := command(t, "growth", "--viakv", "/bin/true", "--sizes", "10", "--within", "50ms", "-q")
	if err == nil || out != "" {
		t.Errorf("%v, and it showed %q", err, out)
	}
}

func TestCounts(t *testing.T) {
	for text, want := range map[string]countValue{"7": 7, "10k": 10_000, "2M": 2_000_000, "3m": 3_000_000} {
		var v countValue
		if err := v.Set(text); err != nil || v != want {
			t.Errorf("%s: %v, %v", text, v, err)
		}
	}
}

// TestHotKeysHaveDefaultsOfTheirOwn checks that --hot changes what was not given.
func TestHotKeysHaveDefaultsOfTheirOwn(t *testing.T) {
	out, err := command(t, "check", "-t", target(t), "-d", "1s", "--hot", "--clients", "6")
	if err != nil || !strings.Contains(out, "by 6 clients") || !strings.Contains(out, "on 4 keys") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestScenariosKeepTheirDefaults checks that a flag which several scenarios share does not
// overwrite the default of one scenario.
func TestScenariosKeepTheirDefaults(t *testing.T) {
	for _, cmd := range scenarioCommands() {
		if cmd.Name() != "chaos" {
			continue
		}
		d := scenario.Default("chaos")
		for name, want := range map[string]time.Duration{"duration": 3 * time.Duration(d.Duration), "clear-every": time.Duration(d.Duration), "scan-every": time.Duration(d.ScanEvery)} {
			if got, err := cmd.Flags().GetDuration(name); err != nil || got != want || got == 0 {
				t.Errorf("--%s is %v by default, want %v (%v)", name, got, want, err)
			}
		}
		return
	}
	t.Error("there is no chaos")
}

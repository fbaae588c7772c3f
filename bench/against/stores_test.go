package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"viakv/api/apitest"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// TestMain makes the test's own binary a node of Raft KV, or a bare server, when it is started as
// one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == raftCommand || os.Args[1] == bareCommand) {
		if err := run(context.Background(), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	apitest.VerifyNoLeaks(m)
}

// ask sends one request by a new connection to a target.
func ask(t *testing.T, at runner.Target, kind workload.Kind, key, value string) runner.Answer {
	t.Helper()
	c, err := at.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	c.Append(kind, []byte(key), []byte(value))
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	a, err := c.Receive()
	if err != nil {
		t.Fatal(err)
	}
	a.Value = bytes.Clone(a.Value)
	return a
}

// need skips the test where a program is not installed, and fails it where all have to be.
func need(t *testing.T, program string) {
	t.Helper()
	switch _, err := exec.LookPath(program); {
	case err == nil:
	case os.Getenv("VIAKV_TEST_NEIGHBOURS") != "":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// Each store that is installed is started, and asked by its driver.
func TestStores(t *testing.T) {
	for name, program := range map[string]string{"raft": "", "redis": "redis-server", "redis-wait": "redis-server", "etcd": "etcd", "nats": "nats-server"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if program != "" {
				need(t, program)
			}
			s, err := starters[name](t.Context(), place{dir: t.TempDir(), nodes: 3})
			if s != nil {
				defer s.close()
			}
			if err != nil {
				t.Fatal(err)
			}
			last := len(s.targets) - 1
			for i, step := range []struct {
				kind       workload.Kind
				key, value string
				want       runner.Outcome
			}{{workload.Get, "a", "", runner.Missing}, {workload.Set, "a", "1", runner.OK}, {workload.Has, "a", "", runner.OK}, {workload.Remove, "a", "", runner.OK}, {workload.Set, "b", "2", runner.OK}} {
				// At one node, because NATS reads at any replica, which may lack the last write.
				if got := ask(t, s.targets[last], step.kind, step.key, step.value); got.Outcome != step.want && name != "nats" {
					t.Errorf("step %d: %+v", i, got)
				}
			}
			for range 200 { // the replica that NATS asks may be behind
				got := ask(t, s.targets[0], workload.Get, "b", "")
				if string(got.Value) == "2" {
					break
				} else if name != "nats" {
					t.Fatalf("%+v", got)
				}
			}
			if len(s.pids) != 3 {
				t.Errorf("%d processes", len(s.pids))
			}
		})
	}
}

// Each node that is alone has its own keys. The nodes of a mesh say what they answer by themselves.
func TestNodesAlone(t *testing.T) {
	t.Parallel()
	viakv := buildViakv(t)
	for name, shared := range map[string]bool{"alone": false, "viakv": true} {
		s, err := starters[name](t.Context(), place{viakv: viakv, dir: t.TempDir(), nodes: 2})
		if s != nil {
			defer s.close()
		}
		if err != nil {
			t.Fatal(err)
		}
		before, err := s.count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ask(t, s.targets[0], workload.Set, "a", "1")
		if got := ask(t, s.targets[1], workload.Get, "a", ""); (got.Outcome == runner.OK) != shared {
			t.Errorf("%s: %+v", name, got)
		}
		after, err := s.count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if after.writes-before.writes != after.reads-before.reads || (after.writes > before.writes) != shared || (after.alone(before) == "–") == shared {
			t.Errorf("%s has counted %+v, then %+v: %s", name, before, after, after.alone(before))
		}
	}
}

// A real Redis has two replicas. A write that waits for more of them has failed.
func TestWaitForMoreReplicasThanThereAre(t *testing.T) {
	t.Parallel()
	need(t, "redis-server")
	s, err := startRedis(t.Context(), place{dir: t.TempDir(), nodes: 3})
	if s != nil {
		defer s.close()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := s.targets[0].(redis)
	for _, c := range []struct {
		wait    int
		timeout time.Duration
		want    runner.Outcome
	}{
		{2, 5 * time.Second, runner.OK}, // it ends as soon as both have answered
		{3, 50 * time.Millisecond, runner.Failed},
	} {
		if r.wait, r.timeout = c.wait, c.timeout; ask(t, r, workload.Set, "a", "1").Outcome != c.want {
			t.Errorf("wait for %d: the outcome is not %v", c.wait, c.want)
		}
	}
}

// buildViakv builds the program, and returns its path.
func buildViakv(t *testing.T) string {
	t.Helper()
	viakv := filepath.Join(t.TempDir(), "viakv")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", viakv, "./cmd/viakv")
	build.Dir = "../.." // this module does not need all that viakv does
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return viakv
}

func TestTurns(t *testing.T) {
	t.Parallel()
	viakv := buildViakv(t)
	var out bytes.Buffer
	if err := turns(t.Context(), []string{"-viakv", viakv, "-keys", "100", "-callers", "1,4", "-rounds", "1", "-duration", "200ms", "-warm-up", "50ms", "-against", "raft,alone,quorum,lease=50ms",
		"-mixes", "get,set,b", "-pipeline", "2"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{"| get | 1 | viakv | ", "| get | 4 | raft |", "| set | 4 | viakv |", "| set | 1 | raft |", "| b | 4 | alone |", "| b | 1 | lease=50ms |", " 0.0 / 0.0 |\n"} {
		if !strings.Contains(out.String(), row) {
			t.Errorf("there is no row %s\n%s", row, out.String())
		}
	}
	out.Reset()
	if err := turns(t.Context(), []string{"-viakv", viakv, "-keys", "100", "-callers", "2", "-rounds", "2", "-duration", "100ms", "-against", "alone", "-mixes", "get", "-beside-scan"}, &out); err != nil || !strings.Contains(out.String(), "beside a scan") {
		t.Errorf("%v\n%s", err, out.String())
	}
	for _, args := range [][]string{{"-against", "redis,bare"}, {"-against", "bare", "-wrk"}} {
		out.Reset()
		args = append([]string{"-viakv", viakv, "-keys", "100", "-callers", "3", "-rounds", "1", "-duration", "200ms", "-mixes", "get", "-pipeline", "50", "-together"}, args...)
		if err := turns(t.Context(), args, &out); err != nil || !strings.Contains(out.String(), "50 gets in each request") || !strings.Contains(out.String(), "| get | 3 | bare |") {
			t.Errorf("%v: %v\n%s", args, err, out.String())
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := turns(stopped, []string{"-viakv", viakv}, &out); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	for want, args := range map[string][]string{"choose of": {"-viakv", viakv, "-against", "sqlite"}, "callers": {"-viakv", viakv, "-callers", "0"}, "--viakv": {}, "25ms": {"-viakv", viakv, "-against", "lease=soon"}, "from 10ms": {"-viakv", viakv, "-against", "lease=9ms"}, "1 to 5": {"-viakv", viakv, "-nodes", "7"},
		"get, set": {"-viakv", viakv, "-mixes", "put"}, "in flight": {"-viakv", viakv, "-pipeline", "0"}, "nowhere": {"-viakv", "/nowhere"},
		"mixes get": {"-viakv", viakv, "-together"}, "at most 1000": {"-viakv", viakv, "-mixes", "get", "-pipeline", "1001", "-together"},
		"many keys": {"-viakv", viakv, "-mixes", "get", "-pipeline", "2", "-together"},
		"getAll":    {"-viakv", viakv, "-beside-scan"}} {
		if err := turns(t.Context(), args, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

package main

import (
	"strings"
	"testing"
	"time"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// A real wrk asks each node, and gets as many answers as it counts.
func TestWrk(t *testing.T) {
	t.Parallel()
	need(t, "wrk")
	s, err := startRaft(t.Context(), place{nodes: 2})
	if s != nil {
		defer s.close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(t.Context(), s, 100); err != nil {
		t.Fatal(err)
	}
	mix, distribution, err := parseMix("b")
	if err != nil {
		t.Fatal(err)
	}
	for _, pipeline := range []int{1, 16} {
		streams, err := workload.Streams(mix, distribution, 100, 1)
		if err != nil {
			t.Fatal(err)
		}
		c := runner.Config{Targets: s.targets, Keys: workload.DefaultKeys(), Sources: streams, Connections: 4, Pipeline: pipeline, Duration: time.Second}
		r, err := s.byWrk(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if r.Good() < 100 || r.Unserved() > 0 || r.Elapsed < time.Second || r.All().ValueAtPercentile(50) <= 0 {
			t.Errorf("%d in flight: %d answered, %+v, in %v, p50 %d µs", pipeline, r.Good(), r.Errors, r.Elapsed, r.All().ValueAtPercentile(50))
		}
	}
	c := runner.Config{Targets: s.targets, Keys: workload.DefaultKeys(), Sources: workload.FirstKeys(1), Connections: 2, Duration: time.Second}
	s.close()
	if r, err := s.byWrk(t.Context(), c); err == nil && r.Good() > 0 {
		t.Errorf("%d answers of nobody", r.Good())
	}
}

func TestRequestsForWrk(t *testing.T) {
	got := string(paths(runner.Config{Keys: workload.DefaultKeys(), Sources: workload.FirstKeys(2)}))
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[1], "/set?k=bench-0000000001&v=") {
		t.Errorf("%q", lines)
	}
}

// With gets together, a line has as many keys as are in flight.
func TestRequestsOfManyKeysForWrk(t *testing.T) {
	got := string(manyPaths(runner.Config{Keys: workload.DefaultKeys(), Sources: workload.FirstKeys(1_000_000), Pipeline: 3}))
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != wrkRequests/3 || lines[1] != "/getMany?k=bench-0000000003&k=bench-0000000004&k=bench-0000000005" {
		t.Errorf("%d, %q", len(lines), lines[1])
	}
}

// What wrk makes up for a request of 10 µs, where one takes 3, is taken back: 7 and 4.
func TestLatenciesOfWrk(t *testing.T) {
	r, err := readWrk("what wrk says\n\nsummary 12 4 0 1\n2 1\n3 2\n4 1\n7 1\n10 1\n", 1, 1, 1)
	if err != nil || r.Good() != 4 || r.All().Max() != 10 || r.All().ValueAtPercentile(75) != 3 || r.Errors.Lost != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := readWrk("\nsummary 120 9 0 0\n30 1\n37 1\n50 1\n", 1, 4, 1); err != nil || r.Good() != 8 {
		t.Errorf("four at once: %+v, %v", r, err)
	}
	if r, err := readWrk("\nsummary 120 3 0 0\n30 1\n37 1\n50 1\n", 1, 1, 100); err != nil || r.Good() != 300 {
		t.Errorf("a hundred keys each: %+v, %v", r, err)
	}
	for _, bad := range []string{"", "\nsummary 12", "\nsummary 12 4 0 1\nsoon", "\nsummary 12 4 0 1\n2 3\n", "\nsummary 12 1 0 1\n13 1\n"} {
		if r, err := readWrk(bad, 1, 1, 1); err == nil {
			t.Errorf("%q is read as %+v", bad, r)
		}
	}
}

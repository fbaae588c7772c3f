package runner_test

import (
	"context"
	"net"
	"testing"
	"time"

	"viakv/api/apitest"
	"viakv/api/client"
	"viakv/bench/baseline"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

func TestMain(m *testing.M) { apitest.VerifyNoLeaks(m) }

func run(t testing.TB, c runner.Config) *runner.Result {
	t.Helper()
	c.Keys = workload.DefaultKeys()
	r, err := runner.Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// bare runs the baseline's server in this process.
func bare(t testing.TB) []runner.Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- baseline.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close()
		<-served
	})
	targets, err := runner.NewHTTP(client.Config{Endpoints: []string{l.Addr().String()}}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return targets
}

func TestOverHTTP(t *testing.T) {
	targets := bare(t)
	r := run(t, runner.Config{Targets: targets, Sources: workload.FirstKeys(5000), Connections: 4, Pipeline: 16})
	if r.Good() != 5000 || r.Errors.Sum() != 0 {
		t.Fatalf("sets: %d, %+v", r.Good(), r.Errors)
	}
	streams, err := workload.Streams(workload.Mix{Get: 70, Set: 10, Has: 10, Remove: 10}, "uniform", 5000, 0)
	if err != nil {
		t.Fatal(err)
	}
	r = run(t, runner.Config{Targets: targets, Connections: 4, Rate: 2000, Poisson: true, Ramp: 100 * time.Millisecond, Duration: time.Second, Verify: true, Pipeline: 8,
		Sources: streams})
	if r.Good() < 1700 || r.Good() > 2300 || r.Errors.Sum() != 0 || !r.Open || r.Missing == 0 {
		t.Errorf("good %d, missing %d, %+v", r.Good(), r.Missing, r.Errors)
	}
	for k, h := range r.Latency {
		if h.TotalCount() == 0 {
			t.Errorf("no %v was sent", workload.Kind(k))
		}
	}
	if all := r.All(); all.TotalCount() != r.Good() || runner.QuantilesOf(all).P99 < runner.QuantilesOf(all).P50 {
		t.Error("the merged histogram is not the sum")
	}
}

package load

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api"
	"viakv/api/apitest"
	"viakv/api/client"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

func TestMain(m *testing.M) { apitest.VerifyNoLeaks(m) }

// target runs the real API over a reference store until the test ends, and returns its URL.
func target(t testing.TB) string {
	t.Helper()
	return apitest.Serve(t, api.Config{Name: "node-a", Version: "test"})
}

func config(t *testing.T, url string, count uint64) Config {
	t.Helper()
	to, err := runner.NewHTTP(client.Config{Endpoints: []string{url}}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return Config{Config: runner.Config{Targets: to, Keys: workload.DefaultKeys(), Connections: 4, Pipeline: 8}, Count: count, Client: connect(t, url)}
}

func TestALoadIsCompleteAndResumes(t *testing.T) {
	url := target(t)
	c := config(t, url, 3000)
	var last uint64
	c.Progress = func(done, _ uint64) { last = max(last, done) }
	r, err := Run(t.Context(), c)
	if err != nil || r.Written != 3000 || r.Rounds != 1 || r.Check == nil || !r.Check.Complete() || last != 3000 {
		t.Fatalf("%+v, %v, progress %d", r, err, last)
	}
	// A resumed load must find keys that are missing and keys that have a wrong value.
	for i := range 10 {
		key := string(c.Keys.AppendKey(nil, uint64(i*100)))
		var err error
		if i%2 == 0 {
			err = c.Client.Remove(t.Context(), key)
		} else {
			_, err = c.Client.Set(t.Context(), key, "wrong")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c = config(t, url, 4000)
	c.Resume = true
	if r, err = Run(t.Context(), c); err != nil || r.Found != 2990 || r.Written != 1010 || !r.Check.Complete() {
		t.Fatalf("found %d, written %d, %+v, %v", r.Found, r.Written, r.Check, err)
	}
	if r, err = Run(t.Context(), c); err != nil || r.Written != 0 || !r.Check.Complete() || r.Good() != 0 {
		t.Fatalf("a load with nothing to do: %+v, %v", r, err)
	}
}

// flaky is a target that turns every seventh answer of a connection into a failure, limit times.
type flaky struct {
	runner.Target
	limit int
}

type flakyConnection struct {
	runner.Connection
	f *flaky
	n int
}

func (f *flaky) Connect(ctx context.Context) (runner.Connection, error) {
	c, err := f.Target.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &flakyConnection{Connection: c, f: f}, nil
}

func (c *flakyConnection) Receive() (runner.Answer, error) {
	a, err := c.Connection.Receive()
	if c.n++; c.n%7 == 0 && c.f.limit > 0 {
		c.f.limit--
		return runner.Answer{Status: 500}, nil
	}
	return a, err
}

func TestWhatFailedIsRepeated(t *testing.T) {
	c := config(t, target(t), 200)
	c.Connections = 1
	c.Targets[0] = &flaky{Target: c.Targets[0], limit: 25}
	r, err := Run(t.Context(), c)
	if err != nil || r.Written != 200 || r.Rounds < 2 || r.Errors.Failed != 25 || !r.Check.Complete() {
		t.Fatalf("written %d in %d rounds, %+v, %v", r.Written, r.Rounds, r.Errors, err)
	}
	c = config(t, target(t), 50)
	c.Connections = 1
	c.Targets[0] = &flaky{Target: c.Targets[0], limit: 1 << 30}
	if r, err = Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if r.Written > 50 || r.Rounds > 20 {
		t.Errorf("written %d in %d rounds", r.Written, r.Rounds)
	}
}

// away is a target that answers for a while, is then gone, and later is there again. While it is
// gone, connections fail, and so do attempts to make new ones.
type away struct {
	runner.Target
	answers  atomic.Int64 // number of answers until it is gone
	refusals atomic.Int64 // number of connections that it refuses before it is there again
}

type awayConnection struct {
	runner.Connection
	a *away
}

func (a *away) Connect(ctx context.Context) (runner.Connection, error) {
	if a.answers.Load() <= 0 && a.refusals.Add(-1) >= 0 {
		return nil, errors.New("nobody there")
	}
	c, err := a.Target.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &awayConnection{c, a}, nil
}

func (c *awayConnection) Receive() (runner.Answer, error) {
	answer, err := c.Connection.Receive()
	if c.a.answers.Add(-1) < 0 && c.a.refusals.Load() > 0 {
		return runner.Answer{}, errors.New("gone")
	}
	return answer, err
}

func TestATargetThatGoesAndComesBack(t *testing.T) {
	c := config(t, target(t), 20_000)
	c.Connections = 1
	a := &away{Target: c.Targets[0]}
	a.answers.Store(5000)
	a.refusals.Store(3)
	c.Targets[0] = a
	var checked atomic.Int64
	c.OnCheck = func(pairs int64) { checked.Store(pairs) }
	r, err := Run(t.Context(), c)
	if err != nil || r.Written != 20_000 || r.Errors.Lost == 0 || !r.Check.Complete() {
		t.Fatalf("%+v, %v", r, err)
	}
	if checked.Load() == 0 {
		t.Error("OnCheck was not called")
	}
}

// TestALoadTakesAsLongAsItsPauses checks that the time in which the target was away is a part of
// the load's time, also when a whole round could not begin.
func TestALoadTakesAsLongAsItsPauses(t *testing.T) {
	c := config(t, target(t), 500)
	c.Connections, c.Pipeline = 1, runner.MaxPipeline // all keys at once
	a := &away{Target: c.Targets[0]}
	a.answers.Store(499)
	a.refusals.Store(1)
	c.Targets[0] = a
	r, err := Run(t.Context(), c)
	if err != nil || r.Written != 500 || r.Rounds != 3 || r.Errors.Lost != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Elapsed < time.Second {
		t.Errorf("it took %v, and in one second of it the target was away", r.Elapsed)
	}
}

func TestAStoppedLoadSaysSo(t *testing.T) {
	c := config(t, target(t), 1_000_000)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c.Progress = func(uint64, uint64) { stop() }
	r, err := Run(ctx, c)
	if err != nil || r.Written == 0 || r.Written >= 1_000_000 || r.Check != nil || r.Incomplete == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	c = config(t, target(t), 1_000_000)
	c.Duration, c.SkipCheck = 10*time.Millisecond, true
	if r, err = Run(t.Context(), c); err != nil || r.Written >= 1_000_000 || !strings.Contains(r.Incomplete, "were not written") {
		t.Fatalf("a load whose time was over: %+v, %v", r, err)
	}
}

func TestBounds(t *testing.T) {
	for _, count := range []uint64{0, MaxKeys + 1} {
		if _, err := Run(t.Context(), config(t, "http://127.0.0.1:1", count)); err == nil || !strings.Contains(err.Error(), "keys") {
			t.Errorf("%d keys: %v", count, err)
		}
	}
	if _, err := Run(t.Context(), config(t, "http://127.0.0.1:1", 5)); err == nil {
		t.Error("a target that is not there was loaded")
	}
	c := config(t, "http://127.0.0.1:1", 5)
	c.Resume = true
	if _, err := Run(t.Context(), c); err == nil {
		t.Error("a target that is not there was resumed")
	}
}

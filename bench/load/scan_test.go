package load

import (
	"context"
	"fmt"
	"testing"
	"time"

	"viakv/api/client"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

func connect(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Endpoints: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func fill(t *testing.T, c *client.Client, keys workload.Keys, indices ...uint64) {
	t.Helper()
	for _, i := range indices {
		if _, err := c.Set(t.Context(), string(keys.AppendKey(nil, i)), string(keys.AppendValue(nil, i, 9))); err != nil {
			t.Fatal(err)
		}
	}
}

func first(n uint64) (all []uint64) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func TestACompleteStore(t *testing.T) {
	c, keys := connect(t, target(t)), workload.DefaultKeys()
	fill(t, c, keys, first(300)...)
	for kind, name := range map[client.Kind]string{client.ScanAll: "getAll", client.ScanKeys: "getKeys", client.ScanValues: "getValues"} {
		for _, page := range []int{0, 7} {
			v := Verify(t.Context(), c, kind, ScanOptions{Keys: keys, Expected: 300, PageSize: page})
			if !v.Complete() || v.Pairs != 300 || v.Kind != name || v.Foreign != 0 || v.PairsPerSecond() <= 0 || v.MBPerSecond() <= 0 {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

func TestWhatIsWrongIsFound(t *testing.T) {
	c, keys := connect(t, target(t)), workload.DefaultKeys()
	fill(t, c, keys, 0, 1, 2, 4, 9)
	for key, value := range map[string]string{"other": "x", string(keys.AppendKey(nil, 5)): "not its value"} {
		if _, err := c.Set(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	v := Verify(t.Context(), c, client.ScanAll, ScanOptions{Keys: keys, Expected: 6})
	if v.Complete() || v.Missing != 1 || v.Wrong != 1 || v.Foreign != 2 {
		t.Errorf("got %+v, want key 3 missing, 5 wrong, 9 and another foreign", v)
	}
	if v.present.has(3) || v.present.has(5) || !v.present.has(4) || v.present.count() != 4 {
		t.Error("the set of right pairs is wrong")
	}
	if v := Verify(t.Context(), c, client.ScanValues, ScanOptions{Keys: keys, Expected: 10}); v.Missing != 3 {
		t.Errorf("values: %d missing, want 3", v.Missing)
	}
	if v := Verify(t.Context(), c, client.ScanAll, ScanOptions{}); !v.Complete() || v.Pairs != 7 {
		t.Errorf("without an expectation: %+v", v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v := Verify(ctx, c, client.ScanAll, ScanOptions{Keys: keys, Expected: 5}); v.Complete() || v.Error == "" {
		t.Errorf("a scan that was cut: %+v", v)
	}
}

func TestBitmap(t *testing.T) {
	b := newBitmap(130)
	for _, i := range []uint64{0, 63, 64, 129} {
		if !b.add(i) || b.add(i) || !b.has(i) {
			t.Errorf("index %d", i)
		}
	}
	if b.count() != 4 || b.has(1) {
		t.Errorf("%d in the set", b.count())
	}
}

// slow is a target that takes its time for each answer.
type slow struct{ runner.Target }

type slowConnection struct{ runner.Connection }

func (s slow) Connect(ctx context.Context) (runner.Connection, error) {
	c, err := s.Target.Connect(ctx)
	return slowConnection{c}, err
}

func (c slowConnection) Receive() (runner.Answer, error) {
	time.Sleep(5 * time.Millisecond)
	return c.Connection.Receive()
}

// TestWhatScansHeldUpIsNotForgotten checks that requests which were due during the scans and could
// not be sent are counted.
func TestWhatScansHeldUpIsNotForgotten(t *testing.T) {
	url := target(t)
	c, keys := connect(t, url), workload.DefaultKeys()
	fill(t, c, keys, first(200)...)
	to, err := runner.NewHTTP(client.Config{Endpoints: []string{url}}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	streams, err := workload.Streams(workload.Mix{Get: 1}, "uniform", 200, 0)
	if err != nil {
		t.Fatal(err)
	}
	beside := runner.Config{Targets: []runner.Target{slow{to[0]}}, Keys: keys, Connections: 1, Rate: 20_000, Timeout: 200 * time.Millisecond, Sources: streams}
	m, err := Measure(t.Context(), ScanConfig{
		ScanOptions: ScanOptions{Keys: keys, Expected: 200}, Client: c, Kinds: []client.Kind{client.ScanAll}, Rounds: 100,
		Load: &beside, quiet: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if m.During.Dropped < m.During.Good() || m.During.Incomplete != "" {
		t.Errorf("%d answered, %d dropped, %s", m.During.Good(), m.During.Dropped, m.During.Incomplete)
	}
}

func TestScansBesideALoad(t *testing.T) {
	url := target(t)
	c, keys := connect(t, url), workload.DefaultKeys()
	fill(t, c, keys, first(200)...)
	to, err := runner.NewHTTP(client.Config{Endpoints: []string{url}}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	streams, err := workload.Streams(workload.Mix{Get: 1}, "uniform", 200, 0)
	if err != nil {
		t.Fatal(err)
	}
	beside := runner.Config{Targets: to, Keys: keys, Connections: 2, Rate: 500, Warmup: time.Hour, Sources: streams}
	seen := 0
	m, err := Measure(t.Context(), ScanConfig{
		ScanOptions: ScanOptions{Keys: keys, Expected: 200}, Client: c, Kinds: []client.Kind{client.ScanAll, client.ScanKeys}, Rounds: 20,
		Load: &beside, quiet: 300 * time.Millisecond, OnScan: func(*Verified) { seen++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Scans) != 40 || seen != 40 || m.Quiet.Good() == 0 || m.During.Errors.Sum() != 0 || m.During.Incomplete != "" {
		t.Errorf("%d scans, quiet %d, during %d %+v %s", len(m.Scans), m.Quiet.Good(), m.During.Good(), m.During.Errors, m.During.Incomplete)
	}
	for _, v := range m.Scans {
		if !v.Complete() {
			t.Errorf("%s", fmt.Sprint(v))
		}
	}
}

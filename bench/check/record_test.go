package check_test

import (
	"sync/atomic"
	"testing"
	"time"

	"viakv/api"
	"viakv/api/apitest"
	"viakv/api/client"
	"viakv/bench/check"
)

func TestMain(m *testing.M) { apitest.VerifyNoLeaks(m) }

// target runs the real API over a reference store until the test ends, and returns its URL.
func target(t testing.TB) string {
	t.Helper()
	return apitest.Serve(t, api.Config{Name: "node-a", Version: "test"})
}

func endpoints(t *testing.T, urls ...string) (out []*client.Client) {
	t.Helper()
	for _, u := range urls {
		c, err := client.New(client.Config{Endpoints: []string{u}, Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		out = append(out, c)
	}
	return out
}

func record(t *testing.T, e []*client.Client) (*check.History, int64) {
	t.Helper()
	var ticks atomic.Int64
	h := check.Record(t.Context(), check.Config{
		Endpoints: e, Clients: 6, ActiveKeys: 3, OpsPerKey: 50, Duration: 1500 * time.Millisecond, ClearEvery: 200 * time.Millisecond, ScanEvery: 100 * time.Millisecond,
		Seed: 1, Prefix: "check-", OnTick: func(tick check.Tick) { ticks.Add(tick.Good) },
	})
	return h, ticks.Load()
}

func TestAStoreThatIsLinearizablePasses(t *testing.T) {
	e := endpoints(t, target(t))
	h, told := record(t, e)
	if failed := h.Audit(t.Context(), e, nil); failed != 0 {
		t.Errorf("%d reads of the audit failed", failed)
	}
	c := h.Check(t.Context(), 10*time.Second, nil)
	if !c.Passed() || c.Operations < 500 || c.Keys < 5 || c.Clears == 0 || c.Scans == 0 || told == 0 {
		t.Errorf("got %+v, %d answers told", c, told)
	}
}

// TestTwoStoresThatShareNothingFail checks that the check finds violations when clients use two
// stores that share nothing. A check that passes this checks nothing.
func TestTwoStoresThatShareNothingFail(t *testing.T) {
	h, _ := record(t, endpoints(t, target(t), target(t)))
	if c := h.Check(t.Context(), 10*time.Second, nil); len(c.Violations) == 0 {
		t.Errorf("got %+v", c)
	}
}

func TestATargetThatIsAwayGivesNothingToJudge(t *testing.T) {
	h, _ := record(t, endpoints(t, "http://127.0.0.1:1"))
	c := h.Check(t.Context(), time.Second, nil)
	if c.Refused == 0 || c.Operations != 0 {
		t.Errorf("got %+v", c)
	}
}

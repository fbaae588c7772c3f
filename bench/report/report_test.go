package report

import (
	"bytes"
	"encoding/csv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"viakv/bench/check"
	"viakv/bench/load"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// measured makes a run of some seconds with a latency around a number of microseconds.
func measured(seconds int, perSecond, micros int64, seed uint64) *runner.Result {
	r := &runner.Result{Counts: *runner.NewCounts(), Started: time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC), Elapsed: time.Duration(seconds) * time.Second, CPU: time.Second}
	r.Status[503] = 2
	random := rand.New(rand.NewPCG(seed, 1))
	for s := range seconds {
		n := perSecond + random.Int64N(perSecond/10+1)
		second := runner.NewCounts()
		for range n {
			us := micros + int64(random.ExpFloat64()*float64(micros)/4)
			_ = r.Latency[workload.Get].RecordValue(us)
			_ = second.Latency[workload.Get].RecordValue(us)
		}
		r.Samples = append(r.Samples, runner.Sample{Elapsed: float64(s + 1), Seconds: 1, Warm: false, Good: n, Rate: float64(n), Quantiles: runner.QuantilesOf(second.All())})
	}
	_ = r.Latency[workload.Set].RecordValue(micros)
	r.Errors.Refused = 2
	return r
}

// full returns a report that has every part.
func full() *Report {
	r := New("run", `a <b>"title"</b>`, time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC), map[string]string{"mix": "b", "keys": "5"})
	r.AddLoad(measured(12, 500, 1000, 1))
	r.Baseline = &Baseline{Load: FromResult(measured(12, 900, 500, 2)), Ratios: []float64{0.5, 0.6}, Ratio: 0.55}
	r.Steps = []runner.Step{{Rate: 2000, Achieved: 1900, Why: "p99 is 9ms"}, {Rate: 1000, Achieved: 1000, Met: true}}
	r.Scans = []*load.Verified{{Kind: "getAll", Pairs: 5, Seconds: 1, Expected: 5}, {Kind: "getKeys", Error: "cut"}, {Kind: "getAll", Expected: 9, Missing: 4}}
	r.Beside = &Beside{Quiet: FromResult(measured(2, 10, 100, 3)), During: FromResult(measured(2, 10, 200, 4))}
	r.Check = &check.Verdict{Keys: 3, Legal: 2, Operations: 1000, Stale: 1, StaleReads: []string{"key k: get v1"}, Violations: []check.Violation{{Key: "k<1>", Reason: "nothing explains it", History: []string{"> get v1"}}}}
	r.Chaos = &check.Chaos{Nodes: 3, Seconds: 9, Faults: []check.Fault{{Kind: "kill", Node: "node-a", What: "kill -9 node-a", From: 1, To: 3}, {Kind: "cut", Node: "node-b", What: "cut", From: 2, To: 10}},
		Buckets: []check.Bucket{{At: 0, Good: 5, P50: 100, P99: 200, Max: 300}, {At: 1, Refused: 2}, {At: 2, Good: 4, P50: 10, P99: 20, Max: 30}}}
	r.Growth = []Growth{{Keys: 10_000, LoadSeconds: 1, LoadRate: 10_000, GetRate: 1, SetRate: 1, ScanSeconds: 0.1, GetP99: 5, SetP99: 6, BytesPerKey: 200}, {Keys: 100_000, LoadSeconds: 9, ScanSeconds: 1}}
	r.Gaps = []Gap{{Outage: "kill -9", Rounds: 3, Get: 4000, HotGet: 98_000, Set: 101_000, Good: 20_000, Unknown: 1}}
	r.Fail("one %s", "thing")
	r.Fail("another")
	return r
}

func TestJSONKeepsEverything(t *testing.T) {
	r := full()
	var first, second bytes.Buffer
	if err := r.WriteJSON(&first); err != nil {
		t.Fatal(err)
	}
	back, err := Read(bytes.NewReader(first.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := back.WriteJSON(&second); err != nil || first.String() != second.String() {
		t.Errorf("what was read is not what was written (%v)", err)
	}
	h, err := back.Load.histogram() // P2
	if err != nil || h.TotalCount() != r.Load.Good || h.ValueAtPercentile(99) != r.Load.Latency.P99 {
		t.Errorf("the histogram is not whole: %v", err)
	}
	if back.Passed || back.Reason != "one thing; another" {
		t.Errorf("verdict %v %q", back.Passed, back.Reason)
	}
	for text, want := range map[string]string{"nonsense": "not a report", `{"format":99}`: "format 99"} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestThePageNeedsNothingElse(t *testing.T) {
	var b bytes.Buffer
	if err := full().WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	rest := strings.NewReplacer(`xmlns="http://www.w3.org/2000/svg"`, "", `xmlns:xlink="http://www.w3.org/1999/xlink"`, "").Replace(page)
	for _, bad := range []string{"<script", "http://", "https://", `style="`, "@import", "url(", "rgb(250,1", "k<1>"} {
		if strings.Contains(rest, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
	if strings.Contains(page, `<b>"title"`) {
		t.Error("the title is not escaped")
	}
	for _, want := range []string{"default-src 'none'", "Throughput over time", "Latency by percentile", "Faults over time", "Latency by rate", "What clients saw", "getAll by number of keys",
		"nothing explains it", "prefers-color-scheme:dark", "one thing; another", "node-b", "var(--line1)", "kill -9 node-a"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if drawings := strings.Count(page, "<svg"); drawings != 12 {
		t.Errorf("%d drawings", drawings)
	}
	if classes := regexp.MustCompile(`class="s[0-9]+"`).FindAllString(page, -1); len(classes) < 50 {
		t.Errorf("%d styled elements", len(classes))
	}
}

func TestTextSaysWhatMatters(t *testing.T) {
	var b bytes.Buffer
	if err := full().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FAILED: one thing", "closed loop", "0.55 of the baseline", "missed: p99 is 9ms", "not complete: 4 missing", "failed: cut", "all 5 keys", "2 of 3 keys", "k<1>", "seed", "status 503", "100,000 keys"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s\nlacks %q", b.String(), want)
		}
	}
}

func TestSavedFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	files, err := full().Save(dir, "x")
	// Four forms, and the plots and the table of the growth.
	if err != nil || len(files) != 10 {
		t.Fatalf("%v, %v", files, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	f, err := os.Open(filepath.Join(dir, "x.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if rows, err := csv.NewReader(f).ReadAll(); err != nil || len(rows) != 13 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if h, err := os.ReadFile(filepath.Join(dir, "x.hgrm")); err != nil || !strings.Contains(string(h), "Percentile") {
		t.Errorf("%.80s, %v", h, err)
	}
	if files, err := (New("check", "t", time.Now(), nil)).Save(dir, "y"); err != nil || len(files) != 2 {
		t.Errorf("a report without a load: %v, %v", files, err)
	}
	if _, err := full().Save("/dev/null/x", "y"); err == nil {
		t.Error("saved into a file")
	}
}

func TestComparison(t *testing.T) {
	report := func(perSecond, micros int64, seed uint64) *Report {
		r := New("run", "r", time.Now(), map[string]string{"mix": "b"})
		r.AddLoad(measured(30, perSecond, micros, seed))
		return r
	}
	verdicts := func(a, b *Report) map[string]string {
		c, err := Compare(a, b)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, row := range c.Table().Rows {
			out[row.Name] = row.Verdict
		}
		return out
	}
	slow, again, fast := report(500, 1000, 1), report(500, 1000, 2), report(800, 500, 3)
	if v := verdicts(slow, again); v["throughput"] != "within the noise" || v["p50"] == "too short to tell" {
		t.Errorf("the same twice: %v", v)
	}
	if v := verdicts(slow, fast); v["throughput"] != "better" || v["p50"] != "better" || v["p99"] != "better" {
		t.Errorf("a faster one: %v", v)
	}
	if v := verdicts(fast, slow); v["throughput"] != "worse" || v["p99"] != "worse" {
		t.Errorf("a slower one: %v", v)
	}
	short := New("run", "r", time.Now(), map[string]string{"mix": "a"})
	short.AddLoad(measured(2, 500, 1000, 4))
	c, err := Compare(slow, short)
	if err != nil || c.lines[0].verdict() != "too short to tell" || len(c.notes) == 0 {
		t.Errorf("%+v, %v", c, err)
	}
	var b bytes.Buffer
	if err := c.WriteText(&b); err != nil || !strings.Contains(b.String(), "mix differs") {
		t.Errorf("%s, %v", b.String(), err)
	}
	if _, err := Compare(slow, New("check", "c", time.Now(), nil)); err == nil {
		t.Error("a report without a load was compared")
	}
}

// TestStudent compares student with tables of the distribution.
func TestStudent(t *testing.T) {
	for freedom, want := range map[float64]float64{4: 2.776, 9: 2.262, 29: 2.045, 120: 1.980} {
		if got := student(freedom); got < want-0.02 || got > want+0.02 {
			t.Errorf("%v degrees: %.3f, want %.3f", freedom, got, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	l := &Load{Open: true, Asked: 1000, Throughput: 500, Seconds: 1, Good: 500, Late: 400, Dropped: 7, CPU: 1000, Errors: runner.Errors{Lost: 3}}
	all := strings.Join(l.warnings(), "\n")
	for _, want := range []string{"the generator used", "1000 a second were asked for", "400 of 503", "7 arrivals", "3 lost"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s\nlacks %q", all, want)
		}
	}
}

func TestBehind(t *testing.T) {
	for name, c := range map[string]struct {
		load Load
		want bool
	}{
		"kept up":                {Load{Open: true, Good: 1000, Dropped: 3}, false},
		"could not":              {Load{Open: true, Good: 1000, Dropped: 1000}, true},
		"slow, and some lost":    {Load{Open: true, Good: 1000, Dropped: 1000, Errors: runner.Errors{Lost: 3}}, true},
		"the target was gone":    {Load{Open: true, Good: 1000, Dropped: 1000, Errors: runner.Errors{Lost: 3, Connect: 9}}, false},
		"a closed loop has none": {Load{Good: 1000, Dropped: 1000}, false},
	} {
		if got := c.load.Behind(); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestThinningKeepsSpikes(t *testing.T) {
	c := chart{series: []series{{name: "s"}}}
	for i := range 1000 {
		v := 1.0
		if i == 777 {
			v = 99
		}
		c.add("x", v)
	}
	thin := c.thinned()
	most := 0.0
	for _, v := range thin.series[0].values {
		most = max(most, v)
	}
	if len(thin.labels) > maxPoints || len(thin.labels) != len(thin.series[0].values) || most != 99 {
		t.Errorf("%d labels, %d values, highest %v", len(thin.labels), len(thin.series[0].values), most)
	}
}

func TestNumbers(t *testing.T) {
	for us, want := range map[int64]string{0: "-", 999: "999µs", 1500: "1.50ms", 12_345: "12.3ms", 2_500_000: "2.5s"} {
		if got := Micros(us); got != want {
			t.Errorf("%d: %s, want %s", us, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := Count(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

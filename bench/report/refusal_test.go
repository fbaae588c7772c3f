package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// outage returns a report of an open loop whose target refuses, fails and drops requests after five
// of ten seconds, and of whose gets some find no key.
func outage() *Report {
	m := measured(5, 300, 1000, 1)
	m.Open, m.Rate, m.Elapsed = true, 300, 10*time.Second
	m.Missing, m.Dropped = 90, 900
	m.Errors = runner.Errors{Refused: 400, Failed: 5, Lost: 7, Connect: 11, Mismatch: 1}
	m.Kinds[workload.Get] = runner.KindCounts{Missing: 90, Refused: 399, Failed: 13}
	m.Kinds[workload.Remove] = runner.KindCounts{Refused: 1}
	m.Status = map[int]int64{503: 400, 500: 5}
	for i := range m.Samples {
		m.Samples[i].Asked, m.Samples[i].Missing = 300, 18
	}
	for s := range 5 {
		m.Samples = append(m.Samples, runner.Sample{Elapsed: float64(s + 6), Seconds: 1, Asked: 300, Errors: 85, Refused: 80, Failed: 3, Unconnected: 2})
	}
	r := New("run", "an outage", time.Now(), nil)
	r.AddLoad(m)
	r.Fail("46 %% were not served")
	return r
}

// TestEverySurfaceTellsSuccessFromRefusal checks that no form of a report counts a refused, failed
// or dropped request, or one that found no key, among others without a number of its own.
func TestEverySurfaceTellsSuccessFromRefusal(t *testing.T) {
	r := outage()
	good := r.Load.Good
	if r.Load.Requests() != good+400+13+900 || r.Load.Unserved() != 1313 || r.Load.Lookups() != good-1 {
		t.Errorf("%d requests, %d not served, %d lookups of %d answered", r.Load.Requests(), r.Load.Unserved(), r.Load.Lookups(), good)
	}
	var text, page, data, table bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"answered/s over 10.0 s", "90 misses, 400 refused, 13 failed, 900 dropped", "found no key", "11 could not be made",
		"5 bad answers, 7 lost, 1 wrong values; 11 connections not made", "status 503"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, text.String())
		}
	}
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<small>misses</small><b>90</b>", `<div class="tile failed"><small>refused</small><b>400</b>`, `<div class="tile failed"><small>failed</small><b>13</b>`,
		`<div class="tile failed"><small>dropped</small><b>900</b>`, "<th>answered</th><th>misses</th><th>refused</th><th>failed</th>",
		"<td>rm</td><td>0</td><td>0</td><td>1</td><td>0</td>", "503 (400)", ">answered</text>", ">refused</text>", ">misses</text>", ">failed</text>", ">asked</text>",
		">unconnected</text>",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if err := r.WriteJSON(&data); err != nil {
		t.Fatal(err)
	}
	var shape struct {
		Load struct {
			Kinds   map[string]map[string]any
			Samples []map[string]any
		}
	}
	if err := json.Unmarshal(data.Bytes(), &shape); err != nil {
		t.Fatal(err)
	}
	last, kind := shape.Load.Samples[9], shape.Load.Kinds["get"]
	if last["refused"] != 80.0 || last["failed"] != 3.0 || last["unconnected"] != 2.0 || last["missing"] != 0.0 || last["asked"] != 300.0 || kind["missing"] != 90.0 || kind["refused"] != 399.0 {
		t.Errorf("in JSON the last second is %v, and the gets are %v", last, kind)
	}
	if err := r.writeCSV(&table); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows[0][11:], " ") + ": " + strings.Join(rows[10][11:], " "); got != "misses refused failed unconnected asked_per_s: 0 80 3 2 300.0" {
		t.Errorf("in CSV: %s", got)
	}
	if line := SampleLine(r.Load.Samples[9]); !strings.Contains(line, "80") || !strings.Contains(line, "2 unconnected") {
		t.Errorf("at the terminal: %s", line)
	}
}

func TestAFasterRunThatRefusesIsNotOnlyBetter(t *testing.T) {
	whole := New("run", "whole", time.Now(), nil)
	whole.AddLoad(measured(10, 300, 1000, 1))
	whole.Load.Errors, whole.Load.Status = runner.Errors{}, nil
	c, err := Compare(whole, outage())
	if err != nil {
		t.Fatal(err)
	}
	verdicts, changes := map[string]string{}, map[string]string{}
	for _, row := range c.Table().Rows {
		verdicts[row.Name], changes[row.Name] = row.Verdict, row.Change
	}
	for _, name := range []string{"misses", "refused", "failed", "dropped"} {
		if verdicts[name] != "worse" || !strings.HasSuffix(changes[name], " points") || strings.HasPrefix(changes[name], "+0.0") {
			t.Errorf("%s: %s, %s", name, verdicts[name], changes[name])
		}
	}
	if notes := strings.Join(c.Table().Notes, "\n"); !strings.Contains(notes, "after did not pass: 46 % were not served") || !strings.Contains(notes, "percentiles leave them out") {
		t.Errorf("the notes: %s", notes)
	}
	again, err := Compare(outage(), outage())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range again.Table().Rows {
		if row.Verdict == "worse" || row.Verdict == "better" {
			t.Errorf("%s of the same twice: %s", row.Name, row.Verdict)
		}
	}
	back, err := Compare(outage(), whole)
	if err != nil {
		t.Fatal(err)
	}
	if row := back.Table().Rows[6]; row.Name != "refused" || row.Verdict != "better" {
		t.Errorf("the other way: %+v", row)
	}
}

// TestOldReportsKeepTheirErrors checks that the chart of a report without counts of its own for
// what was refused still shows its errors.
func TestOldReportsKeepTheirErrors(t *testing.T) {
	c := overTime([]runner.Sample{{Elapsed: 1, Seconds: 1, Good: 5, Rate: 5, Errors: 3}, {Elapsed: 2, Seconds: 1}})[0]
	if len(c.series) != 4 || c.series[3].name != "failed" || c.series[3].values[0] != 3 {
		t.Errorf("%+v", c.series)
	}
}

func TestPercent(t *testing.T) {
	for want, c := range map[string][2]int64{"0.0%": {0, 0}, "<0.1%": {1, 10_000}, "50.0%": {1, 2}, "100.0%": {3, 3}} {
		if got := percent(c[0], c[1]); got != want {
			t.Errorf("%d of %d: %s, want %s", c[0], c[1], got, want)
		}
	}
}

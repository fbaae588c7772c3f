package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"viakv/bench/check"
	"viakv/bench/load"
	"viakv/bench/runner"
)

// currentFormat is raised when a field changes its meaning.
const currentFormat = 1

// Report is what one run of a scenario found.
type Report struct {
	Format   int       `json:"format"`
	Scenario string    `json:"scenario"` // load, run, find-max, scan, check, chaos, stress, growth, gaps
	Title    string    `json:"title"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
	Passed   bool      `json:"passed"`           // false: a condition of the scenario does not hold
	Reason   string    `json:"reason,omitempty"` // why it did not pass, or why it ended early
	Warnings []string  `json:"warnings,omitempty"`

	Environment Environment       `json:"environment"`
	Flags       map[string]string `json:"flags,omitempty"` // as given and by default

	Load     *Load            `json:"load,omitempty"`
	Baseline *Baseline        `json:"baseline,omitempty"`
	Against  []Neighbour      `json:"against,omitempty"`
	Steps    []runner.Step    `json:"steps,omitempty"` // of find-max
	Scans    []*load.Verified `json:"scans,omitempty"`
	Beside   *Beside          `json:"beside,omitempty"` // how the scans affected other requests
	Check    *check.Verdict   `json:"check,omitempty"`
	Chaos    *check.Chaos     `json:"chaos,omitempty"`
	Growth   []Growth         `json:"growth,omitempty"`
	Gaps     []Gap            `json:"gaps,omitempty"`
}

// Load is what a runner measured. Throughput and latencies are of answered requests.
type Load struct {
	Open       bool              `json:"open"`
	Asked      float64           `json:"asked,omitempty"` // the rate asked for, in an open loop
	Seconds    float64           `json:"seconds"`
	Good       int64             `json:"good"`    // answered requests
	Missing    int64             `json:"missing"` // answered requests that found no key
	Late       int64             `json:"late"`
	Dropped    int64             `json:"dropped"`
	Errors     runner.Errors     `json:"errors"`
	Status     map[int]int64     `json:"status,omitempty"` // of bad answers
	Silent     float64           `json:"silent,omitempty"` // part of a closed loop's time without an answer
	Throughput float64           `json:"throughput"`       // answered requests a second
	CPU        float64           `json:"cpu"`              // cores that the load generator used
	Latency    runner.Quantiles  `json:"latency"`
	Kinds      map[string]Kind   `json:"kinds"`
	Samples    []runner.Sample   `json:"samples"`
	Histograms map[string]string `json:"histograms"` // V2 encoding, base64; "all" and one for each kind
}

// Kind is what was measured for one kind of request.
type Kind struct {
	Count   int64 `json:"count"`   // answered requests
	Missing int64 `json:"missing"` // answered requests that found no key
	Refused int64 `json:"refused"`
	Failed  int64 `json:"failed"`
	runner.Quantiles
}

// Baseline is what a bare server reached, measured in turns with the target.
type Baseline struct {
	Load   *Load            `json:"load,omitempty"`
	Scans  []*load.Verified `json:"scans,omitempty"` // one for each scan of the report
	Ratios []float64        `json:"ratios"`
	Ratio  float64          `json:"ratio"` // median of target / baseline over the rounds
}

// Reached says in a few words what the bare server reached.
func (b *Baseline) Reached() string {
	if b.Load != nil {
		return Count(int64(b.Load.Throughput)) + " answers a second"
	}
	var pairs, seconds float64
	for _, s := range b.Scans {
		pairs, seconds = pairs+float64(s.Pairs), seconds+s.Seconds
	}
	return Count(int64(pairs/max(seconds, 1e-9))) + " pairs a second"
}

// Detail lists the ratios of which Ratio is the median.
func (b *Baseline) Detail() string {
	if len(b.Scans) == 0 {
		return "rounds: " + join(b.Ratios)
	}
	of := map[string][]float64{}
	for i, s := range b.Scans[:min(len(b.Scans), len(b.Ratios))] {
		of[s.Kind] = append(of[s.Kind], b.Ratios[i])
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, kind+" "+join(of[kind]))
	}
	return strings.Join(parts, ", ")
}

// Neighbour is another store, measured after the target with the same keys, mix and connections.
type Neighbour struct {
	Name  string  `json:"name"`
	Load  *Load   `json:"load"`
	Ratio float64 `json:"ratio"` // target / neighbour
}

// Beside is a load that ran without scans, and then beside scans.
type Beside struct {
	Quiet  *Load `json:"quiet"`
	During *Load `json:"during"`
}

// Growth is one size of a series from small to large stores.
type Growth struct {
	Keys        uint64  `json:"keys"`
	LoadSeconds float64 `json:"loadSeconds"`
	LoadRate    float64 `json:"loadRate"`
	// BytesPerKey is the resident memory of one node, without the memory of an empty node.
	BytesPerKey  float64 `json:"bytesPerKey"`
	GetRate      float64 `json:"getRate"`
	GetP99       int64   `json:"getP99"` // microseconds
	SetRate      float64 `json:"setRate"`
	SetP99       int64   `json:"setP99"`
	ScanSeconds  float64 `json:"scanSeconds"`
	ScanMBPerSec float64 `json:"scanMBPerSecond"`
	// What the gets and the sets met beside answers.
	Missing int64 `json:"missing"`
	Refused int64 `json:"refused"`
	Failed  int64 `json:"failed"`
}

// Gap is what the clients of the nodes that live met in an outage: the longest times without an
// answer, in microseconds, and how their requests ended.
type Gap struct {
	Outage string `json:"outage"`
	Rounds int    `json:"rounds"`
	Get    int64  `json:"get"`    // of keys that nobody sets
	HotGet int64  `json:"hotGet"` // of keys that are set all the time
	Set    int64  `json:"set"`
	// Starved is the longest time for which bench itself did not run, because the machine was busy.
	// What is not much longer says nothing about the nodes.
	Starved int64 `json:"starved"`

	Good    int `json:"good"` // answered requests
	Refused int `json:"refused"`
	Unknown int `json:"unknown"` // writes that may have taken effect or not
	Lost    int `json:"lost"`    // requests without an answer
}

// New begins a report. The report has passed until Fail is called.
func New(scenario, title string, started time.Time, flags map[string]string) *Report {
	return &Report{Format: currentFormat, Scenario: scenario, Title: title, Started: started.UTC().Truncate(time.Millisecond), Passed: true, Flags: flags,
		Environment: thisEnvironment()}
}

// Fail notes a reason why the run did not pass.
func (r *Report) Fail(format string, args ...any) {
	r.Passed = false
	reason := fmt.Sprintf(format, args...)
	if r.Reason != "" {
		reason = r.Reason + "; " + reason
	}
	r.Reason = reason
}

// WriteJSON writes the report as JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// Read reads a report from JSON.
func Read(in io.Reader) (*Report, error) {
	r := new(Report)
	if err := json.NewDecoder(in).Decode(r); err != nil {
		return nil, fmt.Errorf("not a report of bench: %w", err)
	}
	if r.Format != currentFormat {
		return nil, fmt.Errorf("the report has format %d, and this program reads %d: make it again", r.Format, currentFormat)
	}
	return r, nil
}

package scenario

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"viakv/api/client"
	"viakv/api/kv"
	"viakv/bench/load"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// Duration is a time.Duration that JSON writes as in "1m30s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Spec describes a run. The comment of a field names what Default sets, where that is not zero.
type Spec struct {
	Scenario string `json:"scenario"` // see Names
	Title    string `json:"title"`    // empty: made of the scenario and its most important fields

	Targets     []string `json:"targets"` // URLs of nodes, or of one load balancer
	Token       string   `json:"token,omitempty"`
	CAFile      string   `json:"caFile,omitempty"`
	AllowRemote bool     `json:"allowRemote,omitempty"`
	R           string   `json:"r,omitempty"` // a number, quorum or all
	W           string   `json:"w,omitempty"`

	Connections int      `json:"connections"` // 32
	Pipeline    int      `json:"pipeline"`    // 1
	Timeout     Duration `json:"timeout"`     // 10s
	Seed        uint64   `json:"seed"`        // 1

	Keys      uint64 `json:"keys"`      // 100,000
	Prefix    string `json:"prefix"`    // bench-
	KeySize   string `json:"keySize"`   // 16
	ValueSize string `json:"valueSize"` // 100
	Resume    bool   `json:"resume,omitempty"`
	SkipCheck bool   `json:"skipCheck,omitempty"`

	Mix          string   `json:"mix"`          // b
	Distribution string   `json:"distribution"` // empty: as the letter of the mix says, else zipfian
	Rate         float64  `json:"rate"`         // 0: closed loop
	Poisson      bool     `json:"poisson,omitempty"`
	Warmup       Duration `json:"warmup"` // 2s
	Ramp         Duration `json:"ramp"`
	Duration     Duration `json:"duration"` // 10s
	Verify       bool     `json:"verify,omitempty"`
	// A run with more does not pass. MaxErrors is the percentage of requests that may be refused,
	// fail or be dropped, and of a closed loop's time that may pass without an answer. MaxMisses is
	// the percentage of reads and removes that may find no key, beside those that the mix removed.
	MaxErrors float64 `json:"maxErrors"` // 1
	MaxMisses float64 `json:"maxMisses"` // 1

	Objective string `json:"objective"` // p99<5ms
	Baseline  int    `json:"baseline"`  // rounds in turns with a bare server; 0: none

	// Against are neighbours to measure too, as in redis://127.0.0.1:6379?wait=1.
	Against []string `json:"against,omitempty"`

	Scans    []string `json:"scans"` // getAll, getKeys, getValues
	PageSize int      `json:"pageSize"`
	Rounds   int      `json:"rounds"` // 1
	Beside   float64  `json:"beside"` // rate of the load beside scans; 0: none

	Clients    int `json:"clients"`    // 8
	ActiveKeys int `json:"activeKeys"` // 4: keys in use at a time
	OpsPerKey  int `json:"opsPerKey"`  // 300: operations until a key is replaced by a new one
	// Hot makes the active keys hot ones that are mostly read.
	Hot        bool     `json:"hot,omitempty"`
	ClearEvery Duration `json:"clearEvery"` // 0: no clears
	ScanEvery  Duration `json:"scanEvery"`  // 2s; 0: no scans

	Nodes  int      `json:"nodes"`            // 3
	Binary string   `json:"binary,omitempty"` // path of viakv; the service sets it itself
	Faults []string `json:"faults"`           // empty: all
	// LogDir is where nodes write their logs. Empty: a temporary directory.
	LogDir string `json:"logDir,omitempty"`
}

// neighbours are the schemes of the stores that the program for neighbours has drivers of.
var neighbours = []string{"redis", "etcd", "nats"}

// Names are the names of the scenarios.
var Names = []string{"load", "run", "find-max", "scan", "check", "chaos"}

// Default returns the usual description of a scenario.
func Default(name string) Spec {
	return Spec{
		Scenario: name, Connections: 32, Pipeline: 1, Timeout: Duration(10 * time.Second), Seed: 1,
		Keys: 100_000, Prefix: "bench-", KeySize: "16", ValueSize: "100",
		Mix: "b", Warmup: Duration(2 * time.Second), Duration: Duration(10 * time.Second), Objective: "p99<5ms",
		MaxErrors: 1, MaxMisses: 1,
		Scans: []string{"getAll", "getKeys", "getValues"}, Rounds: 1,
		Clients: 8, ActiveKeys: 4, OpsPerKey: 300, ScanEvery: Duration(2 * time.Second), Nodes: 3,
	}
}

// Validate returns all faults of the description.
func (s *Spec) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !slices.Contains(Names, s.Scenario) {
		fault("scenario %q: choose one of %s", s.Scenario, strings.Join(Names, ", "))
	}
	if s.Scenario != "chaos" && len(s.Targets) == 0 {
		fault("no target: name at least one, for example http://127.0.0.1:8081")
	}
	// The texts must be readable, the numbers within their limits.
	for _, check := range []func() error{
		func() error { _, err := s.space(); return err },
		func() error { _, _, err := s.mix(); return err },
		func() error { _, err := s.options(); return err },
		func() error { _, err := s.kinds(); return err },
		func() error { _, err := runner.ParseObjective(s.Objective); return err },
	} {
		if err := check(); err != nil {
			faults = append(faults, err)
		}
	}
	for _, n := range []struct {
		name           string
		value, at, max int
	}{
		{"connections", s.Connections, 1, runner.MaxConnections}, {"requests in flight", s.Pipeline, 1, runner.MaxPipeline}, {"rounds", s.Rounds, 1, 100},
		{"baseline rounds", s.Baseline, 0, 50}, {"clients", s.Clients, 1, 64}, {"active keys", s.ActiveKeys, 1, 1000}, {"operations per key", s.OpsPerKey, 10, 20_000},
		{"nodes", s.Nodes, 1, 7}, {"page size", s.PageSize, 0, 10_000},
	} {
		if n.value < n.at || n.value > n.max {
			fault("%s: %d is not %d to %d", n.name, n.value, n.at, n.max)
		}
	}
	for _, d := range []struct {
		name string
		d    Duration
	}{{"duration", s.Duration}, {"warm-up", s.Warmup}, {"ramp", s.Ramp}, {"time-out", s.Timeout}, {"clear interval", s.ClearEvery}, {"scan interval", s.ScanEvery}} {
		if d.d < 0 || time.Duration(d.d) > runner.MaxDuration {
			fault("%s: %v is not 0 to %v", d.name, time.Duration(d.d), runner.MaxDuration)
		}
	}
	if s.Rate < 0 || s.Rate > runner.MaxRate || s.Beside < 0 || s.Beside > runner.MaxRate {
		fault("rates: give 0 to %d", runner.MaxRate)
	}
	if s.MaxErrors < 0 || s.MaxErrors > 100 || s.MaxMisses < 0 || s.MaxMisses > 100 {
		fault("errors and misses that are tolerated: give 0 to 100, in percent")
	}
	if s.Scenario == "scan" && s.Baseline > 0 && s.Beside > 0 {
		fault("a load beside the scans would slow down the target alone: measure with the baseline, or with the load")
	}
	if s.Keys == 0 || s.Keys > load.MaxKeys {
		fault("keys: give 1 to %d", load.MaxKeys)
	}
	if s.Clients > 10*s.ActiveKeys {
		fault("%d clients on %d keys: checking takes for ever beyond ten clients a key", s.Clients, s.ActiveKeys)
	}
	for _, name := range s.Against {
		if scheme, address, _ := strings.Cut(name, "://"); !slices.Contains(neighbours, scheme) || address == "" {
			fault("neighbour %q: give redis://HOST:PORT, etcd://HOST:PORT or nats://HOST:PORT", name)
		}
	}
	return errors.Join(faults...)
}

func (s *Spec) space() (workload.Keys, error) {
	key, err := workload.ParseRange(s.KeySize)
	value, err2 := workload.ParseRange(s.ValueSize)
	k := workload.Keys{Prefix: s.Prefix, Seed: s.Seed, KeySize: key, ValueSize: value}
	if err := errors.Join(err, err2); err != nil {
		return k, err
	}
	return k, k.Validate()
}

// mix returns the shares and the distribution of the mix.
func (s *Spec) mix() (m workload.Mix, distribution string, err error) {
	m, distribution, err = workload.ParseMix(s.Mix)
	distribution = cmp.Or(s.Distribution, distribution)
	if err == nil && !slices.Contains(workload.Distributions, distribution) {
		err = fmt.Errorf("distribution %q: choose one of %s", distribution, strings.Join(workload.Distributions, ", "))
	}
	return m, distribution, err
}

func (s *Spec) options() (o client.Options, err error) {
	for _, q := range []struct {
		text string
		to   *kv.Quorum
	}{{s.R, &o.R}, {s.W, &o.W}} {
		switch q.text {
		case "":
		case "quorum":
			*q.to = kv.QuorumMajority
		case "all":
			*q.to = kv.QuorumAll
		default:
			n, err := strconv.Atoi(q.text)
			if err != nil || n < 1 {
				return o, fmt.Errorf("quorum %q: give a number, quorum or all", q.text)
			}
			*q.to = kv.Quorum(n)
		}
	}
	return o, nil
}

var scanKinds = map[string]client.Kind{"getAll": client.ScanAll, "getKeys": client.ScanKeys, "getValues": client.ScanValues}

func (s *Spec) kinds() (kinds []client.Kind, err error) {
	for _, name := range s.Scans {
		kind, ok := scanKinds[name]
		if !ok {
			return nil, fmt.Errorf("scan %q: choose of %s", name, strings.Join(slices.Sorted(maps.Keys(scanKinds)), ", "))
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// The fields of a Spec that each scenario uses, beside its name and title.
var (
	targetFields = []string{"targets", "allowRemote", "caFile", "r", "w", "timeout", "seed"}
	loadFields   = slices.Concat(targetFields, []string{"connections", "pipeline", "keys", "prefix", "keySize", "valueSize"})
	mixFields    = slices.Concat(loadFields, []string{"mix", "distribution", "warmup", "duration", "verify", "maxErrors", "maxMisses"})
	proofFields  = []string{"timeout", "seed", "clients", "activeKeys", "opsPerKey", "hot", "clearEvery", "scanEvery", "duration"}

	used = map[string][]string{
		"load":     slices.Concat(loadFields, []string{"resume", "skipCheck"}),
		"run":      slices.Concat(mixFields, []string{"rate", "poisson", "ramp", "baseline", "against"}),
		"find-max": slices.Concat(mixFields, []string{"objective", "poisson"}),
		"scan":     slices.Concat(mixFields, []string{"scans", "pageSize", "rounds", "beside", "skipCheck"}),
		"check":    slices.Concat(targetFields, proofFields),
		"chaos":    slices.Concat(proofFields, []string{"nodes", "binary", "faults"}),
		"stress":   slices.Concat(mixFields, []string{"rate", "nodes", "binary"}),
		"gaps":     {"nodes", "binary", "rounds"},
		"growth":   {"nodes", "binary", "connections", "pipeline", "keySize", "valueSize", "warmup", "duration", "timeout", "seed"},
	}
)

// flags describes the run for its report, without the secret token.
func (s *Spec) flags() map[string]string {
	shown := *s
	shown.Token = ""
	b, err := json.Marshal(shown)
	var fields map[string]any
	if err != nil || json.Unmarshal(b, &fields) != nil {
		return nil
	}
	out := map[string]string{}
	for name, v := range fields {
		if !slices.Contains(used[s.Scenario], name) {
			continue
		}
		switch text := strings.Trim(fmt.Sprint(v), "[]"); text {
		case "", "0", "0s", "false", "<nil>":
		default:
			if n, ok := v.(float64); ok {
				text = strconv.FormatFloat(n, 'f', -1, 64)
			}
			out[name] = text
		}
	}
	return out
}

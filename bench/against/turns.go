package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"viakv/bench/baseline"
	"viakv/bench/report"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// turnsOptions are the options of a comparison in turns.
type turnsOptions struct {
	viakv    string
	against  string
	nodes    int
	callers  string
	pipeline int
	mixes    string
	keys     uint64
	rounds   int
	duration time.Duration
	warmup   time.Duration
	wrk      bool
	scan     bool
	together bool
}

// maxTogether is how many keys one request may name.
const maxTogether = 1000

// maxNodes is how many nodes a store may have: NATS has no more replicas of a bucket.
const maxNodes = 5

// turns starts viakv and other stores, measures them in turns with the same requests, and prints a
// table of the medians.
func turns(ctx context.Context, args []string, out io.Writer) error {
	var o turnsOptions
	f := flag.NewFlagSet("bench-against turns", flag.ContinueOnError)
	f.StringVar(&o.viakv, "viakv", "", "path of the viakv program")
	f.StringVar(&o.against, "against", "raft", "stores to start: "+names()+", "+leasePrefix+"25ms")
	f.IntVar(&o.nodes, "nodes", 3, "of each store")
	f.StringVar(&o.callers, "callers", "1,16,64,256", "numbers of callers")
	f.IntVar(&o.pipeline, "pipeline", 1, "requests in flight of each caller")
	f.StringVar(&o.mixes, "mixes", "get,set", "what is measured: get, set, is, rm, or a YCSB letter")
	f.Uint64Var(&o.keys, "keys", 10_000, "of 16 characters, with values of 100")
	f.IntVar(&o.rounds, "rounds", 3, "of each measurement")
	f.DurationVar(&o.duration, "duration", 4*time.Second, "of each measurement")
	f.DurationVar(&o.warmup, "warm-up", 500*time.Millisecond, "before each measurement")
	f.BoolVar(&o.wrk, "wrk", false, "send the requests with wrk, in whole seconds")
	f.BoolVar(&o.scan, "beside-scan", false, "meanwhile, read all of a node over and over")
	f.BoolVar(&o.together, "together", false, "send the gets that a caller has in flight as one request")
	if err := f.Parse(args); err != nil {
		return err
	}
	callers, err := o.validate()
	if err != nil {
		return err
	}
	stores, end, err := startAll(ctx, o)
	defer end()
	if err != nil {
		return err
	}
	for _, s := range stores {
		if err := fill(ctx, s, o.keys); err != nil {
			return fmt.Errorf("filling %s: %w", s.name, err)
		}
	}
	how := "a Go client"
	if o.wrk {
		how = "wrk"
	}
	if o.scan {
		how += " beside a scan"
	}
	flight := fmt.Sprintf("%d in flight of each caller", o.pipeline)
	if o.together {
		flight = fmt.Sprintf("%d gets in each request", o.pipeline)
	}
	fmt.Fprintf(out, "%s; %d nodes; %s keys; %s, %s; medians of %d rounds of %v in turns; %d cores, %s\n", time.Now().UTC().Format(time.DateOnly), o.nodes,
		report.Count(o.keys), how, flight, o.rounds, o.duration, runtime.NumCPU(), runtime.Version())
	fmt.Fprintf(out, "\n| | callers | store | requests/s | of viakv's | server CPU, µs | of viakv's | p50, µs | p99, µs | alone, %% |\n")
	fmt.Fprintf(out, "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for mix := range strings.SplitSeq(o.mixes, ",") {
		for _, n := range callers {
			if err := compare(ctx, out, stores, mix, n, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// validate returns the numbers of callers, or the first fault of the options.
func (o turnsOptions) validate() (callers []int, err error) {
	for text := range strings.SplitSeq(o.callers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > runner.MaxConnections {
			return nil, fmt.Errorf("callers %q: give numbers from 1 to %d, as in 1,16", text, runner.MaxConnections)
		}
		callers = append(callers, n)
	}
	for name := range strings.SplitSeq(o.against, ",") {
		if _, err := starter(name); err != nil {
			return nil, err
		}
	}
	for mix := range strings.SplitSeq(o.mixes, ",") {
		if _, _, err := parseMix(mix); err != nil {
			return nil, err
		}
	}
	switch {
	case o.nodes < 1 || o.nodes > maxNodes:
		return nil, fmt.Errorf("%d nodes: give 1 to %d", o.nodes, maxNodes)
	case o.pipeline < 1 || o.pipeline > runner.MaxPipeline:
		return nil, fmt.Errorf("%d requests in flight of each caller: give 1 to %d", o.pipeline, runner.MaxPipeline)
	case o.together && (o.mixes != "get" || o.pipeline > maxTogether):
		return nil, fmt.Errorf("--together goes with --mixes get, and a --pipeline of at most %d", maxTogether)
	case o.rounds < 1 || o.duration <= 0 || o.viakv == "":
		return nil, errors.New("give --viakv, and at least one round of some time")
	}
	return callers, nil
}

// names returns the names of all stores.
func names() string { return strings.Join(slices.Sorted(maps.Keys(starters)), ", ") }

// parseMix returns the requests of a kind, on all keys alike, or those of a YCSB letter with the
// distribution that goes with them.
func parseMix(name string) (mix workload.Mix, distribution string, err error) {
	if len(name) == 1 {
		return workload.ParseMix(name)
	}
	mix, _, err = workload.ParseMix(name + "=1")
	return mix, "uniform", err
}

// startAll starts viakv and the others. What was started ends with end, also after an error.
func startAll(ctx context.Context, o turnsOptions) (stores []*store, end func(), err error) {
	dir, err := os.MkdirTemp("", "viakv-turns-")
	if err != nil {
		return nil, func() {}, err
	}
	end = func() {
		for _, s := range stores {
			s.close()
		}
		_ = os.RemoveAll(dir)
	}
	for _, name := range append([]string{"viakv"}, strings.Split(o.against, ",")...) {
		start, err := starter(name)
		if err != nil {
			return stores, end, err
		}
		own, err := os.MkdirTemp(dir, "store-")
		if err != nil {
			return stores, end, err
		}
		s, err := start(ctx, place{viakv: o.viakv, dir: own, nodes: o.nodes})
		if s != nil {
			s.name = name
			stores = append(stores, s)
		}
		if err != nil {
			return stores, end, fmt.Errorf("starting %s: %w", name, err)
		}
		switch {
		case o.wrk && len(s.endpoints) == 0:
			return stores, end, fmt.Errorf("%s does not serve HTTP: leave out --wrk, or the store", name)
		case o.together && len(s.many) == 0:
			return stores, end, fmt.Errorf("%s has no request for many keys: leave out --together, or the store", name)
		case o.scan && !s.scans:
			return stores, end, fmt.Errorf("%s has no /getAll: leave out --beside-scan, or the store", name)
		}
	}
	return stores, end, nil
}

// fill writes all keys, at each node, because nodes that are alone know nothing of each other.
func fill(ctx context.Context, s *store, keys uint64) error {
	for _, t := range s.targets {
		result, err := runner.Run(ctx, runner.Config{Targets: []runner.Target{t}, Keys: workload.DefaultKeys(), Sources: workload.FirstKeys(keys), Connections: 16, Pipeline: 8})
		if err == nil && result.Errors.Sum() > 0 {
			err = fmt.Errorf("%d of %d keys could not be written at %s", result.Errors.Sum(), keys, t.Name())
		}
		if err != nil {
			return err
		}
		if s.mesh {
			break
		}
	}
	return nil
}

// run makes one run, as the options say.
func (s *store) run(o turnsOptions) func(context.Context, runner.Config) (*runner.Result, error) {
	run := runner.Run
	if o.wrk {
		run = s.byWrk
	}
	if o.wrk && o.together {
		run = s.byWrkTogether
	}
	if !o.scan {
		return run
	}
	return func(ctx context.Context, c runner.Config) (*runner.Result, error) {
		scanning, stop := context.WithCancel(ctx)
		scanned := make(chan error, 1)
		go func() { scanned <- s.scanOn(scanning) }()
		r, err := run(ctx, c)
		stop()
		return r, errors.Join(err, <-scanned)
	}
}

// scanOn reads all of the first node over and over, until ctx ends.
func (s *store) scanOn(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := fetch(ctx, s.endpoints[0]+"/getAll", ignore); err != nil && ctx.Err() == nil {
			return fmt.Errorf("scanning: %w", err)
		}
	}
	return nil
}

// compare measures one kind of request with one number of callers, and prints a row for each store.
func compare(ctx context.Context, out io.Writer, stores []*store, kind string, callers int, o turnsOptions) error {
	mix, distribution, err := parseMix(kind)
	if err != nil {
		return err
	}
	var sides []baseline.Side
	var before []counted
	for _, s := range stores {
		streams, err := workload.Streams(mix, distribution, o.keys, 1)
		if err != nil {
			return err
		}
		counts, err := s.count(ctx)
		if err != nil {
			return err
		}
		before = append(before, counts)
		targets := s.targets
		if o.together && !o.wrk {
			targets = s.many
		}
		sides = append(sides, baseline.Side{CPU: s.cpu, Run: s.run(o), Config: runner.Config{Targets: targets, Keys: workload.DefaultKeys(), Sources: streams, Connections: callers,
			Pipeline: o.pipeline, Duration: o.duration, Warmup: o.warmup}})
	}
	measured, err := baseline.Turns(ctx, sides, o.rounds)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	for i, s := range stores {
		var rates, cpus, p50s, p99s, rateRatios, cpuRatios []float64
		for round, t := range measured[i] {
			if bad := t.Unserved() + t.Missing; bad*100 > t.Good() {
				return fmt.Errorf("%s: %s with %d callers: %d answered, %d not, %d misses", s.name, kind, callers, t.Good(), t.Unserved(), t.Missing)
			}
			own := measured[0][round]
			rates, rateRatios = append(rates, t.Throughput()), append(rateRatios, t.Throughput()/own.Throughput())
			cpus, cpuRatios = append(cpus, each(t)), append(cpuRatios, each(t)/each(own))
			all := t.All()
			p50s, p99s = append(p50s, float64(all.ValueAtPercentile(50))), append(p99s, float64(all.ValueAtPercentile(99)))
		}
		counts, err := s.count(ctx)
		if err != nil {
			return err
		}
		whole := func(v []float64) string { return report.Count(int64(baseline.Median(v))) }
		fmt.Fprintf(out, "| %s | %d | %s | %s | %.2f | %.1f | %.2f | %s | %s | %s |\n", kind, callers, s.name, whole(rates), baseline.Median(rateRatios),
			baseline.Median(cpus), baseline.Median(cpuRatios), whole(p50s), whole(p99s), counts.alone(before[i]))
	}
	return nil
}

// each returns the CPU time of the servers by answered request, in microseconds.
func each(t baseline.Turn) float64 { return float64(t.CPU.Microseconds()) / max(float64(t.Good()), 1) }

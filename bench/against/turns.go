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
	callers  string
	keys     uint64
	rounds   int
	duration time.Duration
	warmup   time.Duration
	mixes    string
}

// turns starts viakv and other stores, measures them in turns with the same requests, and prints a
// table of the medians.
func turns(ctx context.Context, args []string, out io.Writer) error {
	var o turnsOptions
	f := flag.NewFlagSet("bench-against turns", flag.ContinueOnError)
	f.StringVar(&o.viakv, "viakv", "", "path of the viakv program")
	f.StringVar(&o.against, "against", "raft", "stores to start: "+strings.Join(slices.Sorted(maps.Keys(starters)), ", "))
	f.StringVar(&o.callers, "callers", "1,16,64,256", "numbers of callers")
	f.Uint64Var(&o.keys, "keys", 10_000, "of 16 characters, with values of 100")
	f.IntVar(&o.rounds, "rounds", 3, "of each measurement")
	f.DurationVar(&o.duration, "duration", 4*time.Second, "of each measurement")
	f.DurationVar(&o.warmup, "warm-up", 500*time.Millisecond, "before each measurement")
	f.StringVar(&o.mixes, "mixes", "get,set", "what is measured")
	if err := f.Parse(args); err != nil {
		return err
	}
	var callers []int
	for text := range strings.SplitSeq(o.callers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > runner.MaxConnections {
			return fmt.Errorf("callers %q: give numbers from 1 to %d, as in 1,16", text, runner.MaxConnections)
		}
		callers = append(callers, n)
	}
	names := strings.Split(o.against, ",")
	for _, name := range names {
		if starters[name] == nil {
			return fmt.Errorf("store %q: choose of %s", name, strings.Join(slices.Sorted(maps.Keys(starters)), ", "))
		}
	}
	if o.rounds < 1 || o.duration <= 0 || o.viakv == "" {
		return errors.New("give --viakv, and at least one round of some time")
	}
	stores, end, err := startAll(ctx, o.viakv, names)
	defer end()
	if err != nil {
		return err
	}
	for _, s := range stores {
		if err := fill(ctx, s, o.keys); err != nil {
			return fmt.Errorf("filling %s: %w", s.name, err)
		}
	}
	fmt.Fprintf(out, "%s; %s keys; medians of %d rounds of %v in turns; %d cores, %s\n", time.Now().UTC().Format(time.DateOnly), report.Count(o.keys), o.rounds, o.duration, runtime.NumCPU(), runtime.Version())
	fmt.Fprintf(out, "\n| | callers | store | requests/s | of viakv's | server CPU, µs | of viakv's | p50, µs | p99, µs |\n")
	fmt.Fprintf(out, "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for mix := range strings.SplitSeq(o.mixes, ",") {
		for _, n := range callers {
			if err := compare(ctx, out, stores, mix, n, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// startAll starts viakv and the others. What was started ends with end, also after an error.
func startAll(ctx context.Context, viakv string, names []string) (stores []*store, end func(), err error) {
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
	add := func(name string, start func(ctx context.Context, dir string) (*store, error)) error {
		own, err := os.MkdirTemp(dir, name+"-")
		if err != nil {
			return err
		}
		s, err := start(ctx, own)
		if s != nil {
			s.name = name
			stores = append(stores, s)
		}
		if err != nil {
			return fmt.Errorf("starting %s: %w", name, err)
		}
		return nil
	}
	err = add("viakv", func(ctx context.Context, dir string) (*store, error) { return startViakv(ctx, viakv, dir) })
	for _, name := range names {
		if err == nil {
			err = add(name, starters[name])
		}
	}
	return stores, end, err
}

// fill writes all keys, by the first node.
func fill(ctx context.Context, s *store, keys uint64) error {
	result, err := runner.Run(ctx, runner.Config{Targets: s.targets[:1], Keys: workload.DefaultKeys(), Sources: workload.FirstKeys(keys), Connections: 16, Pipeline: 8})
	if err == nil && result.Errors.Sum() > 0 {
		err = fmt.Errorf("%d of %d keys could not be written", result.Errors.Sum(), keys)
	}
	return err
}

// compare measures one kind of request with one number of callers, and prints a row for each store.
func compare(ctx context.Context, out io.Writer, stores []*store, kind string, callers int, o turnsOptions) error {
	mix, _, err := workload.ParseMix(kind + "=1")
	if err != nil {
		return err
	}
	var sides []baseline.Side
	for _, s := range stores {
		streams, err := workload.Streams(mix, "uniform", o.keys, 1)
		if err != nil {
			return err
		}
		sides = append(sides, baseline.Side{CPU: s.cpu, Config: runner.Config{Targets: s.targets, Keys: workload.DefaultKeys(), Sources: streams, Connections: callers, Duration: o.duration, Warmup: o.warmup}})
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
		whole := func(v []float64) string { return report.Count(int64(baseline.Median(v))) }
		fmt.Fprintf(out, "| %s | %d | %s | %s | %.2f | %.1f | %.2f | %s | %s |\n", kind, callers, s.name, whole(rates), baseline.Median(rateRatios),
			baseline.Median(cpus), baseline.Median(cpuRatios), whole(p50s), whole(p99s))
	}
	return nil
}

// each returns the CPU time of the servers by answered request, in microseconds.
func each(t baseline.Turn) float64 { return float64(t.CPU.Microseconds()) / max(float64(t.Good()), 1) }

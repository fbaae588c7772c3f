package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"viakv/bench"
	"viakv/bench/report"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench-against:", err)
		os.Exit(1)
	}
}

// options are the options of a run.
type options struct {
	targets      string
	keys         uint64
	mix          string
	distribution string
	connections  int
	pipeline     int
	keySize      string
	valueSize    string
	seed         uint64
	rate         float64
	duration     time.Duration
	out          string
	allowRemote  bool
}

// run runs a command, or measures stores that run already.
func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case raftCommand:
			return serveRaft(ctx, os.Stdin, os.Stdout)
		case bareCommand:
			return serveBare(ctx, os.Stdin, os.Stdout)
		case "turns":
			return turns(ctx, args[1:], os.Stdout)
		}
	}
	var o options
	f := flag.NewFlagSet("bench-against", flag.ContinueOnError)
	f.StringVar(&o.targets, "target", "", "redis://host:port (?wait=1: with WAIT), etcd://host:port or nats://host:port; several, separated by commas, are measured one after the other")
	f.Uint64Var(&o.keys, "keys", 100_000, "written first, then used")
	f.StringVar(&o.mix, "mix", "b", "a YCSB letter or shares as in get=95,set=5")
	f.StringVar(&o.distribution, "distribution", "", "of the keys (default: what goes with the mix)")
	f.IntVar(&o.connections, "connections", 32, "in all")
	f.IntVar(&o.pipeline, "pipeline", 1, "requests in flight on each")
	f.StringVar(&o.keySize, "key-size", "16", "characters of a key, or a range as in 16-40")
	f.StringVar(&o.valueSize, "value-size", "100", "characters of a value, or a range as in 20-180")
	f.Uint64Var(&o.seed, "seed", 1, "of keys, values and random choices")
	f.Float64Var(&o.rate, "rate", 0, "requests a second; 0: a closed loop")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "of the measurement")
	f.StringVar(&o.out, "out", "", "directory for the reports")
	f.BoolVar(&o.allowRemote, "allow-remote", false, "permit load on targets that are not this machine")
	if err := f.Parse(args); err != nil {
		return err
	}
	for _, name := range strings.Split(o.targets, ",") {
		t, err := open(name)
		if err != nil {
			return err
		}
		if !o.allowRemote {
			if err := bench.Loopback(ctx, name); err != nil {
				return err
			}
		}
		if err := measure(ctx, t, o); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// waitTimeout is how long WAIT waits, unless the target says otherwise.
const waitTimeout = time.Second

var errTarget = errors.New("give redis://HOST:PORT, redis://HOST:PORT?wait=REPLICAS&timeout=1s, etcd://HOST:PORT or nats://HOST:PORT?replicas=3")

// open returns the target of a URL.
func open(name string) (runner.Target, error) {
	u, err := url.Parse(name)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("target %q: %w", name, errTarget)
	}
	number := func(key string, fallback int) int {
		text := u.Query().Get(key)
		if text == "" {
			return fallback
		}
		n, fault := strconv.Atoi(text)
		if fault != nil || n < 0 {
			err = errTarget
		}
		return n
	}
	var t runner.Target
	switch u.Scheme {
	case "redis":
		r := redis{name: name, address: u.Host, wait: number("wait", 0), timeout: waitTimeout}
		if text := u.Query().Get("timeout"); text != "" {
			if r.timeout, err = time.ParseDuration(text); err == nil && r.timeout < time.Millisecond {
				err = errTarget // WAIT 0 would wait for ever
			}
		}
		t = r
	case "etcd":
		t = etcdTarget{name, u.Host}
	case "nats":
		t = newNATS(name, u.Host, number("replicas", 3))
	default:
		err = errTarget
	}
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", name, err)
	}
	return t, nil
}

// measure writes the keys, runs the mix, and reports.
func measure(ctx context.Context, t runner.Target, o options) error {
	mix, distribution, err := workload.ParseMix(o.mix)
	if err != nil {
		return err
	}
	streams, err := workload.Streams(mix, cmp.Or(o.distribution, distribution), o.keys, o.seed)
	if err != nil {
		return err
	}
	// Write each key once.
	keys := workload.DefaultKeys()
	keys.Seed = o.seed
	if keys.KeySize, err = workload.ParseRange(o.keySize); err != nil {
		return err
	}
	if keys.ValueSize, err = workload.ParseRange(o.valueSize); err != nil {
		return err
	}
	c := runner.Config{Targets: []runner.Target{t}, Keys: keys, Seed: o.seed, Connections: o.connections, Pipeline: max(o.pipeline, 16)}
	c.Sources = workload.FirstKeys(o.keys)
	filled, err := runner.Run(ctx, c)
	if err != nil {
		return err
	}
	if n := filled.Errors.Sum(); n > 0 {
		return fmt.Errorf("%d of %d keys could not be written", n, o.keys)
	}
	// Run the mix, and report.
	c.Pipeline, c.Rate, c.Warmup, c.Duration, c.Sources = o.pipeline, o.rate, 2*time.Second, o.duration, streams
	fmt.Println(report.SampleHeader)
	c.OnSample = func(s runner.Sample) { fmt.Println(report.SampleLine(s)) }
	result, err := runner.Run(ctx, c)
	if err != nil {
		return err
	}
	r := report.New("run", fmt.Sprintf("run of mix %s on %s keys, %s", o.mix, report.Count(o.keys), t.Name()), result.Started, map[string]string{
		"targets": t.Name(), "mix": o.mix, "keys": fmt.Sprint(o.keys), "connections": fmt.Sprint(o.connections), "pipeline": fmt.Sprint(o.pipeline),
	})
	r.AddLoad(result)
	if err := r.WriteText(os.Stdout); err != nil {
		return err
	}
	if o.out != "" {
		_, err = r.Save(o.out, "against-"+strings.NewReplacer("://", "-", ":", "-", "/", "", "?", "-", "=", "-", "&", "-").Replace(t.Name()))
	}
	if result.Good() == 0 {
		err = errors.Join(err, fmt.Errorf("no request succeeded: %d refused, %d failed, %d lost, %d connections could not be made", result.Errors.Refused, result.Errors.Failed,
			result.Errors.Lost, result.Errors.Connect))
	}
	return err
}

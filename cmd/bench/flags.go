package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"viakv/bench/scenario"
)

// group adds flags that several scenarios have in common.
type group func(*pflag.FlagSet, *scenario.Spec)

// devTargets are the nodes that viakv dev starts.
var devTargets = []string{"http://127.0.0.1:8081", "http://127.0.0.1:8082", "http://127.0.0.1:8083"}

func targetFlags(f *pflag.FlagSet, s *scenario.Spec) {
	f.StringSliceVarP(&s.Targets, "target", "t", devTargets, "the nodes, or a balancer in front of them; may be repeated")
	f.StringVar(&s.Token, "token", "", "bearer token (better: the variable BENCH_TOKEN)")
	f.StringVar(&s.CAFile, "ca", "", "authority of https targets, PEM")
	f.BoolVar(&s.AllowRemote, "allow-remote", false, "permit load on targets that are not this machine")
	f.StringVar(&s.R, "r", "", "replicas that a read asks: a number, quorum or all (default: the cluster's)")
	f.StringVar(&s.W, "w", "", "replicas that a write waits for")
	f.StringVar(&s.Title, "title", "", "of the report")
}

func keyFlags(f *pflag.FlagSet, s *scenario.Spec) {
	f.Var((*countValue)(&s.Keys), "keys", "how many keys, as in 100000, 100k or 2M")
	f.StringVar(&s.Prefix, "prefix", s.Prefix, "of the keys")
	f.StringVar(&s.KeySize, "key-size", s.KeySize, "characters of a key, or a range as in 16-40")
	f.StringVar(&s.ValueSize, "value-size", s.ValueSize, "characters of a value, or a range as in 20-180")
	f.Uint64Var(&s.Seed, "seed", s.Seed, "of keys, values and random choices")
}

func connectionFlags(f *pflag.FlagSet, s *scenario.Spec) {
	f.IntVarP(&s.Connections, "connections", "c", s.Connections, "in all, to the targets in turn")
	f.IntVarP(&s.Pipeline, "pipeline", "p", s.Pipeline, "requests in flight on each connection")
	f.DurationVar((*time.Duration)(&s.Timeout), "timeout", time.Duration(s.Timeout), "of one request")
}

func mixFlags(f *pflag.FlagSet, s *scenario.Spec) {
	f.StringVarP(&s.Mix, "mix", "m", s.Mix, "YCSB's a (half writes), b (95% reads), c (reads), d (reads of the latest), f (modifications), or shares as in get=95,set=5,is=0,rm=0")
	f.StringVar(&s.Distribution, "distribution", "", "of the keys: uniform, zipfian, latest, hotspot or sequential (default: what goes with the mix)")
	f.DurationVar((*time.Duration)(&s.Warmup), "warm-up", time.Duration(s.Warmup), "measured and shown, not summed")
	f.DurationVarP((*time.Duration)(&s.Duration), "duration", "d", time.Duration(s.Duration), "after the warm-up")
	f.Float64Var(&s.MaxErrors, "max-errors", s.MaxErrors, "percent of the requests that may be refused, fail or be dropped; with more the run does not pass")
	f.Float64Var(&s.MaxMisses, "max-misses", s.MaxMisses, "percent of the reads that may find no key, beside those that the mix removes; with more the run does not pass")
	f.BoolVar(&s.Verify, "verify", false, "compare the values of gets with what the key space says")
}

func rateFlags(f *pflag.FlagSet, s *scenario.Spec) {
	f.Float64Var(&s.Rate, "rate", 0, "requests a second, whatever the target does: an open loop (0: a closed loop, as fast as answers come)")
	f.BoolVar(&s.Poisson, "poisson", false, "random arrivals in the open loop, as of independent users")
	f.DurationVar((*time.Duration)(&s.Ramp), "ramp", 0, "grow the rate, or the connections, from nothing over this time")
	f.StringSliceVar(&s.Against, "against", nil, "neighbours to measure after the target, with the same keys and mix: redis://HOST:PORT (?wait=1: with WAIT), etcd://HOST:PORT, nats://HOST:PORT")
	f.IntVar(&s.Baseline, "baseline", 0, "also measure a bare server on this machine, in turns of this many rounds, and print the ratio")
}

func clusterFlags(f *pflag.FlagSet, s *scenario.Spec) {
	f.IntVar(&s.Nodes, "nodes", s.Nodes, "of the cluster")
	f.StringVar(&s.Binary, "viakv", "", "path of the viakv binary (default: beside this program, or built)")
}

func proofFlags(f *pflag.FlagSet, s *scenario.Spec) {
	f.IntVar(&s.Clients, "clients", s.Clients, "concurrent clients; at most ten for each active key")
	f.IntVar(&s.ActiveKeys, "active-keys", s.ActiveKeys, "keys that are worked on at a time")
	f.BoolVar(&s.Hot, "hot", false, "a few hot keys that are mostly read: 95 of 100 operations are reads, and come faster, so that one stale answer shows")
	f.IntVar(&s.OpsPerKey, "ops-per-key", s.OpsPerKey, "operations before a key is replaced by a new one (with --hot: 10000 by default)")
	f.DurationVar((*time.Duration)(&s.ClearEvery), "clear-every", time.Duration(s.ClearEvery), "clear the whole store this often (0: never)")
	f.DurationVar((*time.Duration)(&s.ScanEvery), "scan-every", time.Duration(s.ScanEvery), "scan the active keys this often (0: never)")
	f.DurationVarP((*time.Duration)(&s.Duration), "duration", "d", time.Duration(s.Duration), "how long")
	f.Uint64Var(&s.Seed, "seed", s.Seed, "of all random choices")
	f.DurationVar((*time.Duration)(&s.Timeout), "timeout", time.Duration(s.Timeout), "of one request")
}

// countValue is a number that may end in k or M.
type countValue uint64

func (v *countValue) Set(s string) error {
	factor, digits := uint64(1), s
	for suffix, f := range map[string]uint64{"k": 1_000, "K": 1_000, "m": 1_000_000, "M": 1_000_000} {
		if cut, ok := strings.CutSuffix(s, suffix); ok {
			factor, digits = f, cut
		}
	}
	n, err := strconv.ParseUint(digits, 10, 40)
	if err != nil {
		return fmt.Errorf("%q is no count: give one as in 100000, 100k or 2M", s)
	}
	*v = countValue(n * factor)
	return nil
}
func (v *countValue) String() string { return strconv.FormatUint(uint64(*v), 10) }
func (v *countValue) Type() string   { return "count" }

// outputs say where a report goes beside the terminal.
type outputs struct {
	dir   string
	name  string
	quiet bool
}

func (o *outputs) flags(f *pflag.FlagSet) {
	f.StringVarP(&o.dir, "out", "o", "", "directory for the report as .json, .csv, .hgrm and .html (default: none is kept)")
	f.StringVar(&o.name, "name", "", "of the report's files (default: scenario and time)")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "only the summary")
}

// watch shows a run on the terminal, unless quiet is set. The returned function ends that.
func (o *outputs) watch(out, status io.Writer) (scenario.Events, func()) {
	if o.quiet {
		return scenario.Events{}, func() {}
	}
	screen := &screen{out: out, status: status}
	return screen.events(), screen.close
}

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"viakv/api/kv"
	"viakv/bench/chaos"
)

// leasePrefix begins the name of a mesh whose leases last another time than by default, as in
// lease=25ms.
const leasePrefix = "lease="

// starter returns how to start the store of a name, or an error that says which names there are.
func starter(name string) (func(context.Context, place) (*store, error), error) {
	if term, ok := strings.CutPrefix(name, leasePrefix); ok {
		if d, err := time.ParseDuration(term); err != nil || d < kv.MinLease || d > kv.MaxLease {
			return nil, fmt.Errorf("store %q: give a time from %v to %v, as in %s25ms", name, kv.MinLease, kv.MaxLease, leasePrefix)
		}
		return mesh("--lease", term), nil
	}
	start := starters[name]
	if start == nil {
		return nil, fmt.Errorf("store %q: choose of %s, %s25ms", name, names(), leasePrefix)
	}
	return start, nil
}

// mesh returns how to start a mesh of viakv, whose nodes get further flags.
func mesh(flags ...string) func(context.Context, place) (*store, error) {
	return func(ctx context.Context, p place) (*store, error) {
		lab, err := chaos.StartCalm(ctx, p.viakv, p.dir, p.nodes, flags...)
		if err != nil {
			return nil, err
		}
		s := &store{scans: true, mesh: true, pids: lab.PIDs(), close: lab.Close}
		if err := s.overHTTP(lab.Endpoints()); err != nil {
			return s, err
		}
		s.hasGetMany()
		return s, nil
	}
}

// startAlone starts as many nodes as a mesh has, each as a cluster of its own: what the same
// processes do if they never ask each other.
func startAlone(ctx context.Context, p place) (*store, error) {
	var ends []func()
	s := &store{scans: true, close: func() {
		for _, end := range ends {
			end()
		}
	}}
	var endpoints []string
	for i := range p.nodes {
		own := filepath.Join(p.dir, strconv.Itoa(i))
		if err := os.Mkdir(own, 0o755); err != nil {
			return s, err
		}
		lab, err := chaos.StartCalm(ctx, p.viakv, own, 1)
		if err != nil {
			return s, err
		}
		ends = append(ends, lab.Close)
		s.pids, endpoints = append(s.pids, lab.PIDs()...), append(endpoints, lab.Endpoints()...)
	}
	if err := s.overHTTP(endpoints); err != nil {
		return s, err
	}
	s.hasGetMany()
	return s, nil
}

// counted is what the nodes of a mesh have counted since their start, summed over them.
type counted struct{ reads, local, writes, oneRound float64 }

// count asks the nodes what they have counted.
func (s *store) count(ctx context.Context) (c counted, err error) {
	if !s.mesh {
		return c, nil
	}
	sums := map[string]*float64{
		"viakv_reads_total": &c.reads, "viakv_local_reads_total": &c.local, "viakv_writes_total": &c.writes, "viakv_one_round_writes_total": &c.oneRound,
	}
	for _, endpoint := range s.endpoints {
		add := func(page io.Reader) error { return addMetrics(page, sums) }
		if err := fetch(ctx, endpoint+"/metrics", add); err != nil {
			return c, fmt.Errorf("the metrics of %s: %w", endpoint, err)
		}
	}
	return c, nil
}

// addMetrics adds the counters of a page of metrics to the sums of their names.
func addMetrics(page io.Reader, sums map[string]*float64) error {
	found := 0
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		sum := sums[name]
		if sum == nil {
			continue
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		*sum += n
		found++
	}
	if err := lines.Err(); err != nil || found == len(sums) {
		return err
	}
	return fmt.Errorf("%d of %d counters are there", found, len(sums))
}

// alone says which parts of the gets and of the sets the nodes answered without asking another node
// and in one round of messages, between two counts.
func (c counted) alone(before counted) string {
	var parts []string
	add := func(some, all float64) {
		if all > 0 {
			parts = append(parts, strconv.FormatFloat(100*some/all, 'f', 1, 64))
		}
	}
	add(c.local-before.local, c.reads-before.reads)
	add(c.oneRound-before.oneRound, c.writes-before.writes)
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, " / ")
}

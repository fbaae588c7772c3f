package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// wrkScript gives wrk its requests, and makes it print each latency with its count.
//
//go:embed wrk.lua
var wrkScript string

// wrkRequests is how many requests wrk sends before it begins anew with the first.
const wrkRequests = 50_000

// byWrk makes a run with wrk in place of the own generator. Wrk has one thread for each node, which
// waits for many connections at once: what comes together is sent together, as from few busy
// proxies. The numbers of its connections are multiples of the number of nodes. The latencies of
// all kinds are counted as those of gets.
func (s *store) byWrk(ctx context.Context, c runner.Config) (*runner.Result, error) {
	return s.sendWrk(ctx, c, paths(c), max(c.Pipeline, 1), 1)
}

// byWrkTogether is byWrk for gets, of which as many as are in flight are one request.
func (s *store) byWrkTogether(ctx context.Context, c runner.Config) (*runner.Result, error) {
	return s.sendWrk(ctx, c, manyPaths(c), 1, c.Pipeline)
}

// sendWrk makes a run with wrk. It sends so many of the requests at once, each for so many keys.
func (s *store) sendWrk(ctx context.Context, c runner.Config, lines []byte, atOnce, keys int) (*runner.Result, error) {
	dir, err := os.MkdirTemp("", "viakv-wrk-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	requests := filepath.Join(dir, "requests")
	if err := os.WriteFile(requests, lines, 0o600); err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "wrk.lua")
	if err := os.WriteFile(script, []byte(wrkScript), 0o600); err != nil {
		return nil, err
	}
	threads := min(len(c.Targets), c.Connections)
	connections := c.Connections / threads * threads
	args := []string{"--threads", strconv.Itoa(threads), "--connections", strconv.Itoa(connections), "--duration", wrkDuration(c.Duration),
		"--timeout", strconv.Itoa(int(requestTimeout.Seconds())), "--script", script, c.Targets[0].Name(), "--", requests, strconv.Itoa(atOnce)}
	for _, t := range c.Targets {
		args = append(args, strings.TrimPrefix(t.Name(), "http://"))
	}
	cmd := exec.CommandContext(ctx, "wrk", args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	began := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wrk: %w", err), errors.New(complaint.String()))
	}
	r, err := readWrk(string(out), int64(connections), int64(atOnce), int64(keys))
	if r != nil {
		r.Started = began
	}
	return r, err
}

// wrkDuration is a duration in whole seconds, the only ones that wrk takes.
func wrkDuration(d time.Duration) string {
	return strconv.Itoa(max(int(d.Round(time.Second).Seconds()), 1)) + "s"
}

// paths returns the requests of a run, a line each.
func paths(c runner.Config) []byte {
	source := c.Sources(int(c.Seed))
	var b bytes.Buffer
	for range wrkRequests {
		op, more := source.Next()
		if !more {
			break
		}
		key := url.QueryEscape(string(c.Keys.AppendKey(nil, op.Index)))
		switch op.Kind {
		case workload.Set:
			fmt.Fprintf(&b, "/set?k=%s&v=%s\n", key, url.QueryEscape(string(c.Keys.AppendValue(nil, op.Index, op.Salt))))
		default:
			fmt.Fprintf(&b, "/%s?k=%s\n", op.Kind, key)
		}
	}
	return b.Bytes()
}

// manyPaths returns requests for as many keys as are in flight, a line each.
func manyPaths(c runner.Config) []byte {
	source := c.Sources(int(c.Seed))
	var b bytes.Buffer
	for range wrkRequests / c.Pipeline {
		b.WriteString("/getMany")
		for i := range c.Pipeline {
			op, _ := source.Next()
			b.WriteByte("?&"[min(i, 1)])
			b.WriteString("k=" + url.QueryEscape(string(c.Keys.AppendKey(nil, op.Index))))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// readWrk reads what the script prints: a line with the time in microseconds, and the numbers of
// requests, bad answers and other errors. Then come the latencies in microseconds from the least
// on, a line each, with their counts. A latency is that of all requests that were sent at once. Each
// request counts as often as it has keys.
func readWrk(out string, connections, together, keys int64) (*runner.Result, error) {
	_, out, _ = strings.Cut(out, "\nsummary ")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var elapsed, requests, bad, broken int64
	if _, err := fmt.Sscan(lines[0], &elapsed, &requests, &bad, &broken); err != nil {
		return nil, fmt.Errorf("wrk printed %q: %w", lines[0], err)
	}
	r := &runner.Result{Counts: *runner.NewCounts(), Elapsed: time.Duration(elapsed) * time.Microsecond}
	r.Errors.Failed, r.Errors.Lost = bad, broken
	counts := map[int64]int64{}
	latencies := make([]int64, 0, len(lines))
	for _, line := range lines[1:] {
		var latency, n int64
		if _, err := fmt.Sscan(line, &latency, &n); err != nil {
			return nil, fmt.Errorf("wrk printed %q: %w", line, err)
		}
		if latency < 0 || latency > elapsed || n < 0 {
			return nil, fmt.Errorf("wrk printed %q, and ran for %d µs", line, elapsed)
		}
		counts[latency], latencies = n, append(latencies, latency)
	}
	if each := requests / connections; each > 0 {
		withdraw(counts, latencies, elapsed/each)
	}
	for latency, n := range counts {
		if err := r.Latency[workload.Get].RecordValues(latency, n*together*keys); err != nil {
			return nil, err
		}
	}
	// The answers that had come when the time was over, of requests whose last answer had not.
	if rest := requests - r.Good()/keys; rest < 0 || rest > (together-1)*connections {
		return nil, fmt.Errorf("wrk sent %d requests and printed the latencies of %d", requests, r.Good())
	}
	return r, nil
}

// withdraw takes back the latencies that wrk has made up. For each that is at least twice as long
// as expected it adds those of the requests that could have been sent meanwhile: shorter by once
// the expected time, by twice, and so on, while they are longer than expected. It does not print
// those below the least real one. The latencies begin with the least one.
func withdraw(counts map[int64]int64, latencies []int64, expected int64) {
	for _, latency := range slices.Backward(latencies) {
		if latency < 2*expected {
			return
		}
		for less := latency - expected; less > expected; less -= expected {
			if _, printed := counts[less]; printed {
				counts[less] -= counts[latency]
			}
		}
	}
}

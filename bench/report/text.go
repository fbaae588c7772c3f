package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"viakv/bench/runner"
)

// SampleHeader stands above the lines that SampleLine makes.
const SampleHeader = " elapsed  answered/s  misses/s  refused/s  failed/s      p50      p95      p99      max"

// SampleLine returns a sample as a line of text.
func SampleLine(s runner.Sample) string {
	mark := ""
	if s.Warm {
		mark = "  warm-up"
	}
	if s.Unconnected > 0 {
		mark += fmt.Sprintf("  %d unconnected", s.Unconnected)
	}
	// Rounded up, so that a single one never looks like none.
	perSecond := func(n int64) int64 { return int64(math.Ceil(float64(n) / max(s.Seconds, 1e-3))) }
	return fmt.Sprintf("%7.0fs %11.0f %9d %10d %9d %8s %8s %8s %8s%s", s.Elapsed, s.Rate, perSecond(s.Missing), perSecond(s.Refused), perSecond(s.Failed), Micros(s.P50), Micros(s.P95), Micros(s.P99), Micros(s.Max), mark)
}

// Micros renders microseconds with three digits.
func Micros(us int64) string {
	switch d := time.Duration(us) * time.Microsecond; {
	case us == 0:
		return "-"
	case us < 1000:
		return fmt.Sprintf("%dµs", us)
	case us < 10_000:
		return fmt.Sprintf("%.2fms", float64(us)/1e3)
	case us < 1_000_000:
		return fmt.Sprintf("%.3gms", float64(us)/1e3)
	default:
		return d.Round(10 * time.Millisecond).String()
	}
}

// Count renders a number with a comma between thousands.
func Count[T int | int64 | uint64](n T) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// WriteText writes the report for a person at a terminal.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	verdict := "passed"
	if !r.Passed {
		verdict = "FAILED: " + r.Reason
	}
	fmt.Fprintf(t, "%s\t%s\n", r.Title, verdict)
	fmt.Fprintf(t, "machine\t%d cores, %s, %s %s/%s\n", r.Environment.Cores, r.Environment.CPU, r.Environment.Go, r.Environment.OS, r.Environment.Arch)
	// First the load and what it is compared with, then the other parts that the report has.
	if r.Load != nil {
		r.Load.text(t)
	}
	if b := r.Baseline; b != nil {
		if b.Load != nil {
			fmt.Fprintf(t, "baseline\t%s answered/s by a bare server on this machine, p99 %s\n", Count(int64(b.Load.Throughput)), Micros(b.Load.Latency.P99))
		}
		fmt.Fprintf(t, "ratio\t%.2f of the baseline (%s)\n", b.Ratio, b.Detail())
	}
	for _, n := range r.Against {
		fmt.Fprintf(t, "%s\t%s answered/s, p50 %s, p99 %s; %s; the target reached %.2f of that\n", n.Name, Count(int64(n.Load.Throughput)), Micros(n.Load.Latency.P50),
			Micros(n.Load.Latency.P99), n.Load.outcomes(), n.Ratio)
	}
	for _, s := range r.Steps {
		fmt.Fprintf(t, "step\t%s/s asked, %s answered/s, p50 %s, p99 %s; %s\t%s\n", Count(int64(s.Rate)), Count(int64(s.Achieved)), Micros(s.P50), Micros(s.P99),
			outcomes(s.Missing, s.Refused, s.Failed, s.Dropped), s.Verdict())
	}
	for i, s := range r.Scans {
		fmt.Fprintf(t, "%s\t%s pairs in %.2f s: %s pairs/s, %.1f MB/s, first after %s", s.Kind, Count(s.Pairs), s.Seconds,
			Count(int64(s.PairsPerSecond())), s.MBPerSecond(), Micros(int64(s.First*1e6)))
		if b := r.Baseline; b != nil && i < len(b.Scans) {
			fmt.Fprintf(t, "; a bare server: %.2f s, %.1f MB/s", b.Scans[i].Seconds, b.Scans[i].MBPerSecond())
		}
		fmt.Fprintln(t)
		switch {
		case s.Error != "":
			fmt.Fprintf(t, "\tfailed: %s\n", s.Error)
		case !s.Complete():
			fmt.Fprintf(t, "\tnot complete: %d missing, %d wrong, %d twice\n", s.Missing, s.Wrong, s.Twice)
		case s.Expected > 0:
			fmt.Fprintf(t, "\tcomplete: all %s keys, each once; %s others\n", Count(s.Expected), Count(s.Foreign))
		}
	}
	if b := r.Beside; b != nil {
		fmt.Fprintf(t, "others\t%s without a scan\n", b.Quiet.brief())
		fmt.Fprintf(t, "\t%s beside scans\n", b.During.brief())
	}
	r.proofText(t)
	for _, g := range r.Growth {
		fmt.Fprintf(t, "%s keys\tload %s/s, %.0f bytes/key, get %s/s (p99 %s), set %s/s (p99 %s), scan %.2f s (%.0f MB/s); %s\n", Count(g.Keys), Count(int64(g.LoadRate)),
			g.BytesPerKey, Count(int64(g.GetRate)), Micros(g.GetP99), Count(int64(g.SetRate)), Micros(g.SetP99), g.ScanSeconds, g.ScanMBPerSec, outcomes(g.Missing, g.Refused, g.Failed, 0))
	}
	for _, g := range r.Gaps {
		fmt.Fprintf(t, "%s\tget %s\tget of keys that are set %s\tset %s\t%s answered, %d refused, %d unknown, %d lost; bench itself %s\n", g.Outage, Micros(g.Get), Micros(g.HotGet), Micros(g.Set),
			Count(g.Good), g.Refused, g.Unknown, g.Lost, Micros(g.Starved))
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(t, "note\t%s\n", warning)
	}
	return t.Flush()
}

func join(v []float64) string {
	var parts []string
	for _, x := range v {
		parts = append(parts, fmt.Sprintf("%.2f", x))
	}
	return strings.Join(parts, " ")
}

// outcomes says what requests met beside an answer that found its key. What happened to none of
// them is named too, so that all reports have the same words.
func outcomes(misses, refused, failed, dropped int64) string {
	return fmt.Sprintf("%s misses, %s refused, %s failed, %s dropped", Count(misses), Count(refused), Count(failed), Count(dropped))
}

func (l *Load) outcomes() string {
	return outcomes(l.Missing, l.Errors.Refused, l.Errors.Failures(), l.Dropped)
}

// brief describes a load in one line.
func (l *Load) brief() string {
	return fmt.Sprintf("%s answered/s, p50 %s, p99 %s, max %s; %s", Count(int64(l.Throughput)), Micros(l.Latency.P50), Micros(l.Latency.P99), Micros(l.Latency.Max), l.outcomes())
}

func (l *Load) text(t io.Writer) {
	loop := "closed loop"
	if l.Open {
		loop = fmt.Sprintf("open loop at %s/s", Count(int64(l.Asked)))
	}
	fmt.Fprintf(t, "throughput\t%s answered/s over %.1f s (%s)\n", Count(int64(l.Throughput)), l.Seconds, loop)
	fmt.Fprintf(t, "requests\t%s: %s answered, %s; %s not served\n", Count(l.Requests()), Count(l.Good), l.outcomes(), percent(l.Unserved(), l.Requests()))
	if l.Missing > 0 {
		fmt.Fprintf(t, "misses\t%s\n", l.FoundNoKey())
	}
	if l.Errors.Connect > 0 || l.Silent > 0 {
		fmt.Fprintf(t, "connections\t%s could not be made", Count(l.Errors.Connect))
		if !l.Open {
			fmt.Fprintf(t, "; without an answer for %.1f%% of their time", 100*l.Silent)
		}
		fmt.Fprintln(t)
	}
	line := func(name string, q runner.Quantiles) {
		fmt.Fprintf(t, "%s\tp50 %s\tp90 %s\tp99 %s\tp99.9 %s\tmax %s\n", name, Micros(q.P50), Micros(q.P90), Micros(q.P99), Micros(q.P999), Micros(q.Max))
	}
	line("latency, answered", l.Latency)
	if len(l.Kinds) > 1 {
		for _, name := range slices.Sorted(maps.Keys(l.Kinds)) {
			line("  "+name, l.Kinds[name].Quantiles)
		}
	}
	// The statuses are those of refused and failed requests.
	for _, status := range slices.Sorted(maps.Keys(l.Status)) {
		fmt.Fprintf(t, "  status %d\t%s answers\n", status, Count(l.Status[status]))
	}
	fmt.Fprintf(t, "generator\t%.2f cores\n", l.CPU)
}

// proofText writes the results of checks and of runs with faults.
func (r *Report) proofText(t io.Writer) {
	if c := r.Check; c != nil {
		fmt.Fprintf(t, "history\t%s operations on %s keys by %d clients in %.0f s: %d refused, %d reads failed, %d writes left open, %d clears, %d scans\n", Count(c.Operations), Count(c.Keys),
			c.Clients, c.Seconds, c.Refused, c.Failed, c.Unknown, c.Clears, c.Scans)
		fmt.Fprintf(t, "linearizable\t%s of %s keys, %d undecided, %d violations (checked in %.1f s)\n", Count(c.Legal), Count(c.Keys), c.Undecided, len(c.Violations), c.CheckTime)
		if c.Stale > 0 {
			fmt.Fprintf(t, "stale\t%d answers were older than what was known when their requests began\n", c.Stale)
			for _, line := range c.StaleReads {
				fmt.Fprintf(t, "\t  %s\n", line)
			}
		}
		for _, v := range c.Violations {
			fmt.Fprintf(t, "violation\tkey %s: %s\n", v.Key, v.Reason)
			for _, line := range v.History {
				fmt.Fprintf(t, "\t  %s\n", line)
			}
		}
	}
	if c := r.Chaos; c != nil {
		fmt.Fprintf(t, "faults\t%d on %d nodes in %.0f s, seed %d\n", len(c.Faults), c.Nodes, c.Seconds, c.Seed)
		fmt.Fprintf(t, "longest\t%.1f s without an acknowledged write; %.1f s leaving out the %.0f s in which more was broken than such a cluster survives\n",
			c.Longest, c.Bearable, c.Beyond)
		fmt.Fprintf(t, "converged\t%v %s\n", c.Converged, c.Unresolved)
	}
}

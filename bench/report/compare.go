package report

import (
	"errors"
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// interval is a figure with its confidence interval.
type interval struct{ low, value, high float64 }

// compared is one figure of a comparison.
type compared struct {
	name          string
	before, after interval
	change        float64 // of the value, as a part: 0.1 is 10 % more
	// clear says that the intervals do not overlap: the difference is not noise within these runs.
	clear  bool
	better bool // only if clear
	unit   unit
}

// unit is the unit of a compared figure.
type unit uint8

const (
	perSecond    unit = iota // more is better
	microseconds             // less is better
	shares                   // parts of a whole, from 0 to 1; less is better
)

// Comparison is the comparison of two reports. The intervals are of 95 %. They say how much the
// seconds within each run vary, not what another day or another machine would give. For that,
// repeat the runs in turns.
type Comparison struct {
	before, after string
	lines         []compared
	notes         []string
}

// fewest is the least number of seconds for which the variance of a run means something.
const fewest = 5

// Compare compares the loads of two reports.
func Compare(before, after *Report) (*Comparison, error) {
	if before.Load == nil || after.Load == nil {
		return nil, errors.New("both reports must have measured a load: made by bench run, load or find-max")
	}
	c := &Comparison{before: before.Title, after: after.Title}
	// Different settings and machines are noted: they limit what the comparison means.
	for _, name := range []string{"mix", "distribution", "rate", "connections", "pipeline", "keys", "keySize", "valueSize", "seed", "r", "w"} {
		if a, b := before.Flags[name], after.Flags[name]; a != b {
			c.notes = append(c.notes, fmt.Sprintf("%s differs: %q and %q", name, a, b))
		}
	}
	if a, b := before.Environment, after.Environment; a.Cores != b.Cores || a.CPU != b.CPU || a.Go != b.Go {
		c.notes = append(c.notes, "the machines or Go versions differ: prefer ratios to a baseline measured on each")
	}
	// A run of which requests were not served is not better for being faster.
	for _, side := range []struct {
		name string
		of   *Report
	}{{"before", before}, {"after", after}} {
		if !side.of.Passed {
			c.notes = append(c.notes, fmt.Sprintf("%s did not pass: %s", side.name, side.of.Reason))
		}
		if l := side.of.Load; l.Unserved() > 0 {
			c.notes = append(c.notes, fmt.Sprintf("%s: %s of its requests were not served, and its percentiles leave them out", side.name, percent(l.Unserved(), l.Requests())))
		}
	}
	c.add("throughput", throughput(before.Load), throughput(after.Load), perSecond)
	h1, err := before.Load.histogram()
	if err != nil {
		return nil, err
	}
	h2, err := after.Load.histogram()
	if err != nil {
		return nil, err
	}
	for _, q := range []float64{50, 90, 99, 99.9} {
		c.add(fmt.Sprintf("p%g", q), quantile(h1, q), quantile(h2, q), microseconds)
	}
	a, b := before.Load, after.Load
	c.add("misses", part(a.Missing, a.Lookups()), part(b.Missing, b.Lookups()), shares)
	c.add("refused", part(a.Errors.Refused, a.Requests()), part(b.Errors.Refused, b.Requests()), shares)
	c.add("failed", part(a.Errors.Failures(), a.Requests()), part(b.Errors.Failures(), b.Requests()), shares)
	c.add("dropped", part(a.Dropped, a.Requests()), part(b.Dropped, b.Requests()), shares)
	return c, nil
}

// part returns the share of some requests, with Wilson's interval for it.
func part(some, all int64) interval {
	n, z := float64(all), 1.96
	if n == 0 {
		return interval{0, 0, math.Inf(1)}
	}
	p := float64(some) / n
	middle, half := (p+z*z/(2*n))/(1+z*z/n), z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))/(1+z*z/n)
	return interval{max(middle-half, 0), p, min(middle+half, 1)}
}

func (c *Comparison) add(name string, before, after interval, in unit) {
	l := compared{name: name, before: before, after: after, unit: in}
	if before.value > 0 {
		l.change = after.value/before.value - 1
	}
	l.clear = before.high < after.low || after.high < before.low
	l.better = l.clear && (after.value < before.value) == (in != perSecond)
	c.lines = append(c.lines, l)
}

// throughput returns the mean of the seconds' rates, with its interval by Student's t. Neighbouring
// seconds are not independent. Their pairs are averaged first, which removes most of that.
func throughput(l *Load) interval {
	var rates []float64
	for _, s := range l.Samples {
		if !s.Warm && s.Seconds > 0.5 {
			rates = append(rates, s.Rate)
		}
	}
	if len(rates) >= 4*fewest {
		for i := range len(rates) / 2 {
			rates[i] = (rates[2*i] + rates[2*i+1]) / 2
		}
		rates = rates[:len(rates)/2]
	}
	n := float64(len(rates))
	sum, squares := 0.0, 0.0
	for _, r := range rates {
		sum += r
	}
	mean := sum / max(n, 1)
	if n < fewest {
		return interval{0, l.Throughput, math.Inf(1)}
	}
	for _, r := range rates {
		squares += (r - mean) * (r - mean)
	}
	half := student(n-1) * math.Sqrt(squares/(n-1)/n)
	return interval{mean - half, mean, mean + half}
}

// student returns the 97.5 % quantile of Student's t with v degrees of freedom, by the expansion of
// Cornish and Fisher. It is right to two digits for v of 4 and more.
func student(v float64) float64 {
	const z = 1.959964
	return z + (z*z*z+z)/(4*v) + (5*math.Pow(z, 5)+16*z*z*z+3*z)/(96*v*v) + (3*math.Pow(z, 7)+19*math.Pow(z, 5)+17*z*z*z-15*z)/(384*v*v*v)
}

// quantile returns a percentile of a histogram, with the interval that order statistics give for
// any distribution: the ranks n*q ± 1.96*sqrt(n*q*(1-q)).
func quantile(h *hdrhistogram.Histogram, percentile float64) interval {
	n := float64(h.TotalCount())
	if n == 0 {
		return interval{0, 0, math.Inf(1)}
	}
	q := percentile / 100
	half := 1.96 * math.Sqrt(n*q*(1-q)) / n * 100
	at := func(p float64) float64 { return float64(h.ValueAtPercentile(min(max(p, 0), 100))) }
	return interval{at(percentile - half), at(percentile), at(percentile + half)}
}

// WriteText writes the comparison as a table.
func (c *Comparison) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "before\t%s\nafter\t%s\n\n\tbefore\t\tafter\t\tchange\n", c.before, c.after)
	for _, l := range c.lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.name, l.figure(l.before.value), l.interval(l.before), l.figure(l.after.value), l.interval(l.after), l.changed(), l.verdict())
	}
	for _, n := range c.notes {
		fmt.Fprintf(t, "note\t%s\n", n)
	}
	return t.Flush()
}

// verdict returns the verdict about a figure in a few words.
func (l compared) verdict() string {
	switch {
	case math.IsInf(l.before.high, 1) || math.IsInf(l.after.high, 1):
		return "too short to tell"
	case !l.clear:
		return "within the noise"
	case l.better:
		return "better"
	}
	return "worse"
}

// changed says how much the value has changed: a share in points of a hundred, another figure as a
// part of what it was.
func (l compared) changed() string {
	switch {
	case l.unit == shares:
		return fmt.Sprintf("%+.1f points", 100*(l.after.value-l.before.value))
	case l.before.value == 0 && l.after.value != 0:
		return "-"
	}
	return fmt.Sprintf("%+.1f%%", 100*l.change)
}

func (l compared) figure(v float64) string {
	switch l.unit {
	case microseconds:
		return Micros(int64(v))
	case shares:
		return fmt.Sprintf("%.2f%%", 100*v)
	}
	return Count(int64(v)) + "/s"
}

func (l compared) interval(i interval) string {
	if math.IsInf(i.high, 1) {
		return ""
	}
	return "[" + l.figure(i.low) + ", " + l.figure(i.high) + "]"
}

// Row is one line of a table.
type Row struct {
	Name    string `json:"name"`
	Before  string `json:"before"`
	After   string `json:"after"`
	Change  string `json:"change"`
	Verdict string `json:"verdict"`
}

// Table is a comparison that is ready to be shown.
type Table struct {
	Before string   `json:"before"`
	After  string   `json:"after"`
	Rows   []Row    `json:"rows"`
	Notes  []string `json:"notes"`
}

// Table renders the figures as text.
func (c *Comparison) Table() Table {
	t := Table{Before: c.before, After: c.after, Notes: c.notes}
	for _, l := range c.lines {
		t.Rows = append(t.Rows, Row{
			Name: l.name, Before: l.figure(l.before.value) + " " + l.interval(l.before), After: l.figure(l.after.value) + " " + l.interval(l.after),
			Change: l.changed(), Verdict: l.verdict(),
		})
	}
	return t
}

package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"viakv/bench/runner"
)

// charts returns the charts of everything that the report holds.
func (r *Report) charts() (all []chart, err error) {
	if r.Load != nil && len(r.Load.Samples) > 1 {
		all = append(all, overTime(r.Load.Samples)...)
	}
	if r.Load != nil && r.Load.Good > 0 {
		c, err := r.percentiles()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(r.Steps) > 1 {
		all = append(all, steps(r.Steps))
	}
	if r.Chaos != nil && len(r.Chaos.Buckets) > 1 {
		all = append(all, r.availability()...)
	}
	for _, c := range growthCharts(r.Growth) {
		all = append(all, c.chart)
	}
	return all, nil
}

func micros(v float64) string { return Micros(int64(v)) }

func rate(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + "k"
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

func overTime(samples []runner.Sample) []chart {
	throughput := chart{title: "Throughput over time", unit: "requests a second; misses are answered too", format: rate,
		series: []series{{name: "answered"}, {name: "refused"}, {name: "misses"}, {name: "failed"}}}
	asked := slices.ContainsFunc(samples, func(s runner.Sample) bool { return s.Asked > 0 })
	if asked {
		throughput.series = append(throughput.series, series{name: "asked"})
	}
	unconnected := slices.ContainsFunc(samples, func(s runner.Sample) bool { return s.Unconnected > 0 })
	if unconnected {
		throughput.series = append(throughput.series, series{name: "unconnected"})
	}
	latency := chart{title: "Latency over time", unit: "of answered requests; logarithmic", log: true, format: micros, series: []series{{name: "p50"}, {name: "p95"}, {name: "p99"}, {name: "max"}}}
	for _, s := range samples {
		label := fmt.Sprintf("%.0fs", s.Elapsed)
		if s.Warm {
			label = "warm"
		}
		perSecond := func(n int64) float64 { return float64(n) / max(s.Seconds, 1e-3) }
		// Of an old report only the sum of all errors is known. It counts as failed.
		values := []float64{s.Rate, perSecond(s.Refused), perSecond(s.Missing), perSecond(s.Errors - s.Refused - s.Unconnected)}
		if asked {
			values = append(values, s.Asked/max(s.Seconds, 1e-3))
		}
		if unconnected {
			values = append(values, perSecond(s.Unconnected))
		}
		throughput.add(label, values...)
		latency.add(label, float64(s.P50), float64(s.P95), float64(s.P99), float64(s.Max))
	}
	return []chart{throughput, latency}
}

func (c *chart) add(label string, values ...float64) {
	c.labels = append(c.labels, label)
	for i, v := range values {
		c.series[i].values = append(c.series[i].values, v)
	}
}

// percentiles returns the latencies over the number of nines, so that the tail has room.
func (r *Report) percentiles() (chart, error) {
	c := chart{title: "Latency by percentile", unit: "of answered requests; both axes logarithmic: each step to the right is a nine more", log: true, format: micros}
	loads := []*Load{r.Load}
	c.series = []series{{name: "target"}}
	if r.Baseline != nil && r.Baseline.Load != nil {
		loads, c.series = append(loads, r.Baseline.Load), append(c.series, series{name: "baseline"})
	}
	nines := min(math.Ceil(math.Log10(float64(max(r.Load.Good, 10)))), 5)
	const steps = 8 // for each nine
	c.labelled = int(nines) + 1
	for i := range int(nines)*steps + 1 {
		percentile := 100 * (1 - math.Pow(10, -float64(i)/steps))
		label := ""
		// Only whole nines have a label.
		if i%steps == 0 {
			label = strconv.FormatFloat(percentile, 'f', max(i/steps-2, 0), 64) + "%"
		}
		var values []float64
		for _, l := range loads {
			h, err := l.histogram()
			if err != nil {
				return c, err
			}
			values = append(values, float64(h.ValueAtPercentile(percentile)))
		}
		c.add(label, values...)
	}
	return c, nil
}

func steps(all []runner.Step) chart {
	c := chart{title: "Latency by rate", unit: "p50 and p99 of answered requests at each rate that was tried", log: true, format: micros, series: []series{{name: "p50"}, {name: "p99"}}}
	byRate := func(a, b runner.Step) int { return cmp.Compare(a.Rate, b.Rate) }
	for _, s := range slices.SortedFunc(slices.Values(all), byRate) {
		c.add(rate(s.Rate)+"/s", float64(s.P50), float64(s.P99))
	}
	return c
}

func (r *Report) availability() []chart {
	answers := chart{title: "What clients saw", unit: "a second", format: rate, series: []series{{name: "answered"}, {name: "refused"}, {name: "left open"}}}
	latency := chart{title: "Latency over time", unit: "of answered requests; logarithmic", log: true, format: micros, series: []series{{name: "p50"}, {name: "p99"}, {name: "max"}}}
	for _, b := range r.Chaos.Buckets {
		label := fmt.Sprintf("%.0fs", b.At)
		answers.add(label, float64(b.Good), float64(b.Refused), float64(b.Unknown))
		latency.add(label, float64(b.P50), float64(b.P99), float64(b.Max))
	}
	return []chart{answers, latency}
}

package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
)

// WriteCSV writes the samples of each second, with latencies in microseconds.
func (r *Report) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"elapsed_s", "warm", "good", "errors", "ops_per_s", "p50_us", "p90_us", "p95_us", "p99_us", "p999_us", "max_us"}}
	if r.Load != nil {
		for _, s := range r.Load.Samples {
			row := []string{strconv.FormatFloat(s.Elapsed, 'f', 3, 64), strconv.FormatBool(s.Warm), strconv.FormatInt(s.Good, 10), strconv.FormatInt(s.Errors, 10),
				strconv.FormatFloat(s.Rate, 'f', 1, 64)}
			for _, us := range []int64{s.P50, s.P90, s.P95, s.P99, s.P999, s.Max} {
				row = append(row, strconv.FormatInt(us, 10))
			}
			rows = append(rows, row)
		}
	}
	return c.WriteAll(rows)
}

// WriteHistogram writes the latency distribution of all requests, in milliseconds and in the form
// that HdrHistogram's plotter reads.
func (r *Report) WriteHistogram(w io.Writer) error {
	if r.Load == nil {
		return fmt.Errorf("a %s report has no latency distribution", r.Scenario)
	}
	h, err := r.Load.Histogram(all)
	if err != nil {
		return err
	}
	_, err = h.PercentilesPrint(w, 5, 1000)
	return err
}

package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// Save writes the report into a directory, in every form that it has, and returns the paths. It
// makes the directory.
func (r *Report) Save(dir, name string) (paths []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	type form struct {
		extension string
		write     func(io.Writer) error
	}
	forms := []form{{".json", r.WriteJSON}, {".html", r.WriteHTML}}
	if r.Load != nil {
		forms = append(forms, form{".csv", r.writeCSV}, form{".hgrm", r.writeHistogram})
	}
	for _, form := range forms {
		path := filepath.Join(dir, name+form.extension)
		if err := save(path, form.write); err != nil {
			return paths, fmt.Errorf("writing %s: %w", path, err)
		}
		paths = append(paths, path)
	}
	if len(r.Growth) == 0 {
		return paths, nil
	}
	more, err := r.saveGrowth(dir, name)
	return append(paths, more...), err
}

// save writes a file completely or not at all, so that the directory never has half a report.
func save(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".writing-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// writeCSV writes the samples of each second, with latencies in microseconds.
func (r *Report) writeCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"elapsed_s", "warm", "good", "errors", "ops_per_s", "p50_us", "p90_us", "p95_us", "p99_us", "p999_us", "max_us", "misses", "refused", "failed", "unconnected", "asked_per_s"}}
	if r.Load != nil {
		for _, s := range r.Load.Samples {
			row := []string{strconv.FormatFloat(s.Elapsed, 'f', 3, 64), strconv.FormatBool(s.Warm), strconv.FormatInt(s.Good, 10), strconv.FormatInt(s.Errors, 10),
				strconv.FormatFloat(s.Rate, 'f', 1, 64)}
			for _, us := range []int64{s.P50, s.P90, s.P95, s.P99, s.P999, s.Max} {
				row = append(row, strconv.FormatInt(us, 10))
			}
			for _, n := range []int64{s.Missing, s.Refused, s.Failed, s.Unconnected} {
				row = append(row, strconv.FormatInt(n, 10))
			}
			row = append(row, strconv.FormatFloat(s.Asked/max(s.Seconds, 1e-3), 'f', 1, 64))
			rows = append(rows, row)
		}
	}
	return c.WriteAll(rows)
}

// writeHistogram writes the latency distribution of all requests, in milliseconds and in the form
// that HdrHistogram's plotter reads.
func (r *Report) writeHistogram(w io.Writer) error {
	if r.Load == nil {
		return fmt.Errorf("a %s report has no latency distribution", r.Scenario)
	}
	h, err := r.Load.histogram()
	if err != nil {
		return err
	}
	_, err = h.PercentilesPrint(w, 5, 1000)
	return err
}

package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's template and style sheet
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

// colors are the colours of the page and of drawings in files of their own, light and dark.
//
//go:embed colors.css
var colors string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"micros": Micros, "count": Count[int64], "ucount": Count[uint64], "whole": func(v float64) string { return Count(int64(v)) },
	"seconds": func(v float64) string { return micros(v * 1e6) }, "icount": Count[int],
}).Parse(pageSource))

// figure is a drawing with its title and unit.
type figure struct {
	Title, Unit string
	SVG         template.HTML
}

// tile is one of the numbers at the top of the page.
type tile struct {
	Name, Value, Detail string
	Bad                 bool // it counts requests that were not served
}

type pair struct{ Name, Value string }

// WriteHTML writes one page that loads no script, font or picture. The page's own policy forbids
// it.
func (r *Report) WriteHTML(w io.Writer) error {
	var s sheet
	drawings, err := r.charts()
	if err != nil {
		return err
	}
	var figures []figure
	if r.Chaos != nil && len(r.Chaos.Faults) > 0 {
		figures = append(figures, figure{"Faults over time", "by node; point at a bar", template.HTML(timeline(r.Chaos))})
	}
	for _, c := range drawings {
		svg, err := c.svg(&s)
		if err != nil {
			return err
		}
		figures = append(figures, figure{c.title, c.unit, template.HTML(svg)})
	}
	// The policy permits this style sheet only, by its hash.
	style := colors + pageStyle + s.rules.String()
	sum := sha256.Sum256([]byte(style))
	type row struct {
		Name string
		Kind
	}
	var kinds []row
	if r.Load != nil {
		for _, name := range slices.Sorted(maps.Keys(r.Load.Kinds)) {
			kinds = append(kinds, row{name, r.Load.Kinds[name]})
		}
	}
	var b bytes.Buffer
	err = page.Execute(&b, map[string]any{
		"R": r, "Figures": figures, "Tiles": r.tiles(), "Kinds": kinds, "Flags": r.pairs(),
		"Style": template.CSS(style), "Hash": template.HTMLAttr(`content="default-src 'none'; style-src 'sha256-` + base64.StdEncoding.EncodeToString(sum[:]) + `'"`),
	})
	if err != nil {
		return err
	}
	_, err = b.WriteTo(w)
	return err
}

func (r *Report) pairs() (out []pair) {
	for _, name := range slices.Sorted(maps.Keys(r.Flags)) {
		out = append(out, pair{name, r.Flags[name]})
	}
	return out
}

// tiles returns the numbers that answer the question of the scenario.
func (r *Report) tiles() (t []tile) {
	add := func(name, value, format string, args ...any) {
		t = append(t, tile{Name: name, Value: value, Detail: fmt.Sprintf(format, args...)})
	}
	bad := func(is bool) { t[len(t)-1].Bad = is } // of the tile that was added last
	if l := r.Load; l != nil {
		loop := "closed loop"
		if l.Open {
			loop = "of " + Count(int64(l.Asked)) + " asked"
		}
		add("throughput", Count(int64(l.Throughput))+"/s", "answered; %s, %.0f s", loop, l.Seconds)
		add("p50", Micros(l.Latency.P50), "half of the answered requests")
		add("p99", Micros(l.Latency.P99), "p99.9 %s, max %s", Micros(l.Latency.P999), Micros(l.Latency.Max))
		add("misses", Count(l.Missing), "%s of %s answered reads and removes", percent(l.Missing, l.Lookups()), Count(l.Lookups()))
		add("refused", Count(l.Errors.Refused), "%s of %s requests", percent(l.Errors.Refused, l.Requests()), Count(l.Requests()))
		bad(l.Errors.Refused > 0)
		add("failed", Count(l.Errors.Failures()), "%s", l.failures())
		bad(l.Errors.Failures()+l.Errors.Connect > 0)
		if l.Open {
			add("dropped", Count(l.Dropped), "%s of %s requests: too late to be sent", percent(l.Dropped, l.Requests()), Count(l.Requests()))
			bad(l.Dropped > 0)
		} else if l.Silent > 0 {
			add("without an answer", fmt.Sprintf("%.1f%%", 100*l.Silent), "of the connections' time")
			bad(true)
		}
	}
	if b := r.Baseline; b != nil {
		add("of the baseline", fmt.Sprintf("%.0f%%", 100*b.Ratio), "a bare server: %s", b.Reached())
	}
	for _, s := range r.Scans {
		if len(t) < 12 {
			add(s.Kind, micros(s.Seconds*1e6), "%s pairs, %.0f MB/s", Count(s.Pairs), s.MBPerSecond())
		}
	}
	if c := r.Check; c != nil {
		add("linearizable", fmt.Sprintf("%s of %s", Count(c.Legal), Count(c.Keys)), "keys; %s operations", Count(c.Operations))
		add("violations", Count(len(c.Violations)), "%d undecided", c.Undecided)
		add("refused", Count(c.Refused), "operations that did nothing")
		add("failed", Count(c.Failed), "reads without an answer")
		add("left open", Count(c.Unknown), "writes that may take effect later, or never")
	}
	if c := r.Chaos; c != nil {
		add("faults", Count(len(c.Faults)), "on %d nodes in %.0f s", c.Nodes, c.Seconds)
		add("longest without a write", fmt.Sprintf("%.1f s", c.Longest), "%s", map[bool]string{true: "came together again", false: "did not come together"}[c.Converged])
	}
	return t
}

// Verdict returns the verdict in a word, for the page.
func (r *Report) Verdict() string {
	if r.Passed {
		return "passed"
	}
	return "failed"
}

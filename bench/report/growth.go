package report

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"
)

// growthChart is a chart with the name of its file.
type growthChart struct {
	name string
	chart
}

// growthCharts returns the charts of a growth. A single size has none, because one point is no
// line.
func growthCharts(all []Growth) []growthChart {
	if len(all) < 2 {
		return nil
	}
	duration := func(v float64) string { return micros(v * 1e6) }
	throughput := chart{title: "Throughput by number of keys", unit: "a second; gets and sets in a closed loop, load with pipelining", format: rate,
		series: []series{{name: "load"}, {name: "get"}, {name: "set"}}}
	latency := chart{title: "p99 by number of keys", unit: "logarithmic; in the closed loop of the throughput, so at full load", log: true, format: micros,
		series: []series{{name: "get"}, {name: "set"}}}
	load := chart{title: "Time to load by number of keys", unit: "both axes logarithmic: a straight line is the same time for each key", log: true, format: duration,
		series: []series{{name: "load"}}}
	scan := chart{title: "Time of getAll by number of keys", unit: "both axes logarithmic: a straight line is the same time for each key", log: true, format: duration,
		series: []series{{name: "getAll"}}}
	memory := chart{title: "Memory of a node by number of keys", unit: "resident bytes a key, without those of the empty process", format: rate,
		series: []series{{name: "bytes/key"}}}
	for _, g := range all {
		label := rate(float64(g.Keys))
		throughput.add(label, g.LoadRate, g.GetRate, g.SetRate)
		latency.add(label, float64(g.GetP99), float64(g.SetP99))
		load.add(label, g.LoadSeconds)
		scan.add(label, g.ScanSeconds)
		memory.add(label, g.BytesPerKey)
	}
	charts := []growthChart{{"throughput", throughput}, {"latency", latency}, {"load", load}, {"scan", scan}, {"memory", memory}}
	for i := range charts {
		charts[i].dots = true
	}
	return charts
}

// The space around a drawing in a file of its own, and for its title.
const (
	aloneSide = 18
	aloneTop  = 62
)

// alone draws a chart for a file of its own. The drawing has its title, its background and its
// colours, light and dark.
func (c chart) alone() (string, error) {
	var s sheet
	drawing, err := c.svg(&s)
	if err != nil {
		return "", err
	}
	width, height := chartWidth+2*aloneSide, chartHeight+aloneTop+aloneSide
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		width, height, width, height, html.EscapeString(c.title))
	fmt.Fprintf(&b, "<style>\n%stext{font-family:system-ui,-apple-system,\"Segoe UI\",sans-serif}\n%s</style>\n", colors, s.rules.String())
	fmt.Fprintf(&b, `<rect x="0.5" y="0.5" width="%d" height="%d" rx="10" style="fill:var(--card);stroke:var(--rule)"/>`+"\n", width-1, height-1)
	fmt.Fprintf(&b, `<text x="%d" y="29" style="fill:var(--fg);font-size:16px;font-weight:600">%s</text>`+"\n", aloneSide, html.EscapeString(c.title))
	fmt.Fprintf(&b, `<text x="%d" y="49" style="fill:var(--dim);font-size:13px">%s</text>`+"\n", aloneSide, html.EscapeString(c.unit))
	fmt.Fprintf(&b, `<svg x="%d" y="%d" width="%d" height="%d">%s</svg>`+"\n</svg>\n", aloneSide, aloneTop, chartWidth, chartHeight, drawing)
	return b.String(), nil
}

// saveGrowth writes each plot of the growth as name-*.svg, and its table as name.md.
func (r *Report) saveGrowth(dir, name string) (paths []string, err error) {
	if paths, err = r.savePlots(dir, name); err != nil {
		return paths, err
	}
	path := filepath.Join(dir, name+".md")
	return append(paths, path), save(path, r.writeGrowthTable)
}

func (r *Report) savePlots(dir, name string) (paths []string, err error) {
	for _, c := range growthCharts(r.Growth) {
		drawing, err := c.alone()
		if err != nil {
			return paths, err
		}
		path := filepath.Join(dir, name+"-"+c.name+".svg")
		if err := save(path, func(w io.Writer) error { _, err := io.WriteString(w, drawing); return err }); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// writeGrowthTable writes the sizes as a table in Markdown, followed by the machine that they were
// measured on.
func (r *Report) writeGrowthTable(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString("| keys | time to load | load, keys/s | bytes a key, one node | get/s | get p99 | set/s | set p99 | getAll | MB/s |\n")
	b.WriteString("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, g := range r.Growth {
		fmt.Fprintf(&b, "| %s | %s | %s | %.0f | %s | %s | %s | %s | %s | %.0f |\n", Count(g.Keys), micros(g.LoadSeconds*1e6), Count(int64(g.LoadRate)), g.BytesPerKey,
			Count(int64(g.GetRate)), Micros(g.GetP99), Count(int64(g.SetRate)), Micros(g.SetP99), micros(g.ScanSeconds*1e6), g.ScanMBPerSec)
	}
	e := r.Environment
	fmt.Fprintf(&b, "\n%s, %s UTC;\n%d cores (%s), %s, %s.\n", r.Title, r.Started.Format("2006-01-02 15:04"), e.Cores, e.CPU, e.Go, e.Target)
	_, err := b.WriteTo(w)
	return err
}

// The marks in a document between which the table of the growth stands.
const (
	growthBegins = "<!-- growth: written by bench growth --docs -->"
	growthEnds   = "<!-- growth ends -->"
)

// PublishGrowth writes the plots to images/growth-*.svg in a directory of documents, and the table
// into performance.md there.
func (r *Report) PublishGrowth(docs string) (paths []string, err error) {
	document := filepath.Join(docs, "performance.md")
	text, err := os.ReadFile(document)
	if err != nil {
		return nil, err
	}
	before, rest, begins := bytes.Cut(text, []byte(growthBegins+"\n"))
	_, after, ends := bytes.Cut(rest, []byte(growthEnds))
	if !begins || !ends {
		return nil, fmt.Errorf("%s has no place for the table: put the lines %q and %q where it belongs", document, growthBegins, growthEnds)
	}
	if len(r.Growth) < 2 {
		return nil, errors.New("a growth of fewer than two sizes is not published: it has no plots")
	}
	images := filepath.Join(docs, "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return nil, err
	}
	if paths, err = r.savePlots(images, "growth"); err != nil {
		return paths, err
	}
	return append(paths, document), save(document, func(w io.Writer) error {
		if _, err := fmt.Fprintf(w, "%s%s\n", before, growthBegins); err != nil {
			return err
		}
		if err := r.writeGrowthTable(w); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "%s%s", growthEnds, after)
		return err
	})
}

package report

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/go-analyze/charts"
)

// ink is a colour of the charts. It is drawn as a colour that occurs nowhere else, which is then
// replaced by a variable of the page's style sheet. So one drawing serves the light and the dark
// page.
type ink struct {
	name  string
	color charts.Color
}

func newInk(name string, number uint8) ink {
	return ink{name, charts.Color{R: 250, G: 1, B: number, A: 255}}
}

var (
	inkAxis  = newInk("axis", 1)
	inkGrid  = newInk("grid", 2)
	inkText  = newInk("text", 3)
	inkLines = []ink{newInk("line1", 4), newInk("line2", 5), newInk("line3", 6), newInk("line4", 7), newInk("line5", 8), newInk("line6", 9)}
)

func inks() []ink { return append([]ink{inkAxis, inkGrid, inkText}, inkLines...) }

func (i ink) drawn() string { return fmt.Sprintf("rgb(%d,%d,%d)", i.color.R, i.color.G, i.color.B) }

// series is one line of a chart. NaN is a gap.
type series struct {
	name   string
	values []float64
}

// chart is one or more lines over common labels.
type chart struct {
	title    string
	unit     string // of the values, shown below the title
	labels   []string
	series   []series
	log      bool // logarithmic, in decades
	labelled int  // labels to draw; 0: as many as fit
	// Mark the points: they are few, and between them nothing was measured.
	dots   bool
	format func(float64) string // formats a value
}

const (
	chartWidth  = 640
	chartHeight = 260
	fontSize    = 12
	maxPoints   = 300 // more could not be told apart
	maxLabels   = 8
)

// svg draws the chart. Its colours are variables of the style sheet. Its styles are classes, which
// a strict content policy permits.
func (c chart) svg(sheet *sheet) (string, error) {
	var lines []charts.Color
	for _, i := range inkLines {
		lines = append(lines, i.color)
	}
	theme := charts.MakeTheme(charts.ThemeOption{
		AxisStrokeColor: inkAxis.color, AxisSplitLineColor: inkGrid.color, TextColor: inkText.color, SeriesColors: lines,
	})
	c = c.thinned()
	var values [][]float64
	var names []string
	for _, s := range c.series {
		names = append(names, s.name)
		values = append(values, c.scaled(s.values))
	}
	// Set up the drawing: no symbols, a legend for several lines, few labels.
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: chartWidth, Height: chartHeight, Theme: theme})
	font := charts.FontStyle{FontSize: fontSize, FontColor: inkText.color}
	o := charts.NewLineChartOptionWithData(values)
	o.Theme, o.LineStrokeWidth, o.Symbol.Shape = theme, 1.8, charts.SymbolNone
	o.Padding = charts.Box{Left: 4, Top: 8, Right: 14, Bottom: 4, IsSet: true}
	o.Legend = charts.LegendOption{SeriesNames: names, FontStyle: font, Show: charts.Ptr(len(names) > 1)}
	o.XAxis.Labels, o.XAxis.LabelFontStyle, o.XAxis.LabelCount = c.labels, font, min(maxLabels, len(c.labels))
	if c.dots {
		o.Symbol.Shape = charts.SymbolDot
	}
	if c.labelled > 0 {
		o.XAxis.LabelCount = c.labelled
	}
	o.XAxis.BoundaryGap = charts.Ptr(false)
	// A logarithmic axis has a label for each decade; others begin at zero.
	axis := charts.YAxisOption{LabelFontStyle: font, ValueFormatter: c.format}
	if c.log {
		low, high := c.decades(values)
		axis.Min, axis.Max, axis.LabelCount = charts.Ptr(low), charts.Ptr(high), int(high-low)+1
		axis.ValueFormatter = func(v float64) string { return c.format(math.Pow(10, v)) }
	} else {
		axis.Min = charts.Ptr(0.0)
	}
	o.YAxis = []charts.YAxisOption{axis}
	if err := p.LineChart(o); err != nil {
		return "", fmt.Errorf("drawing %q: %w", c.title, err)
	}
	b, err := p.Bytes()
	if err != nil {
		return "", fmt.Errorf("drawing %q: %w", c.title, err)
	}
	return sheet.classes(string(b)), nil
}

func (c chart) scaled(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		switch {
		case math.IsNaN(v), c.log && v <= 0:
			out[i] = charts.GetNullValue()
		case c.log:
			out[i] = math.Log10(v)
		default:
			out[i] = v
		}
	}
	return out
}

// decades returns the decades that hold all values.
func (c chart) decades(values [][]float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range slices.Concat(values...) {
		if v != charts.GetNullValue() {
			low, high = min(low, math.Floor(v)), max(high, math.Ceil(v))
		}
	}
	if low > high {
		return 0, 1
	}
	return low, max(high, low+1)
}

// thinned returns the chart with few enough points that they can be told apart. Of points that fall
// together the largest stays, because spikes matter most.
func (c chart) thinned() chart {
	n := len(c.labels)
	step := (n + maxPoints - 1) / maxPoints
	if step <= 1 {
		return c
	}
	thin := c
	thin.labels, thin.series = nil, nil
	for i := 0; i < n; i += step {
		thin.labels = append(thin.labels, c.labels[i])
	}
	for _, s := range c.series {
		t := series{name: s.name}
		for i := 0; i < n; i += step {
			most := math.NaN()
			for _, v := range s.values[i:min(i+step, n)] {
				if math.IsNaN(most) || v > most {
					most = v
				}
			}
			t.values = append(t.values, most)
		}
		thin.series = append(thin.series, t)
	}
	return thin
}

// sheet collects the styles of drawings as classes.
type sheet struct {
	names map[string]string
	rules strings.Builder
}

var (
	styleAttribute = regexp.MustCompile(`style="([^"]*)"`)
	fontFamily     = regexp.MustCompile(`font-family:[^;"]*;?`)
)

func (s *sheet) classes(svg string) string {
	return styleAttribute.ReplaceAllStringFunc(svg, func(attribute string) string {
		style := fontFamily.ReplaceAllString(styleAttribute.FindStringSubmatch(attribute)[1], "")
		for _, i := range inks() {
			style = strings.ReplaceAll(style, i.drawn(), "var(--"+i.name+")")
		}
		name, known := s.names[style]
		if !known {
			if s.names == nil {
				s.names = map[string]string{}
			}
			name = fmt.Sprintf("s%d", len(s.names))
			s.names[style] = name
			fmt.Fprintf(&s.rules, ".%s{%s}\n", name, style)
		}
		return `class="` + name + `"`
	})
}

package report

import (
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"

	"viakv/bench/check"
)

const (
	laneHeight = 22
	laneLabel  = 64
)

// timeline draws the faults as bars, with a lane for each node.
func timeline(c *check.Chaos) string {
	lanes, end := map[string]int{}, max(c.Seconds, 1)
	for _, f := range c.Faults {
		lanes[f.Node], end = 0, max(end, f.To)
	}
	nodes := slices.Sorted(maps.Keys(lanes))
	for i, n := range nodes {
		lanes[n] = i
	}
	height := len(nodes)*laneHeight + 20
	x := func(t float64) float64 { return laneLabel + t/end*(chartWidth-laneLabel-8) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="faults over time">`, chartWidth, height)
	for i, n := range nodes {
		y := i * laneHeight
		fmt.Fprintf(&b, `<text class="lane" x="0" y="%d">%s</text><line class="rule" x1="%d" x2="%d" y1="%d" y2="%d"/>`, y+15, html.EscapeString(n), laneLabel, chartWidth-8, y+laneHeight, y+laneHeight)
	}
	for _, f := range c.Faults {
		y := lanes[f.Node] * laneHeight
		width := max(x(max(f.To, f.From))-x(f.From), 2)
		fmt.Fprintf(&b, `<rect class="fault %s" x="%.1f" y="%d" width="%.1f" height="%d" rx="2"><title>%.1f s to %.1f s: %s</title></rect>`,
			html.EscapeString(f.Kind), x(f.From), y+4, width, laneHeight-8, f.From, f.To, html.EscapeString(f.What))
	}
	for i := range 5 {
		t := end * float64(i) / 4
		anchor := "middle"
		if i == 4 {
			anchor = "end"
		}
		fmt.Fprintf(&b, `<text class="lane" x="%.1f" y="%d" text-anchor="%s">%.0fs</text>`, x(t), height-4, anchor, t)
	}
	b.WriteString("</svg>")
	return b.String()
}

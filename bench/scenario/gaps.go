package scenario

import (
	"context"
	"fmt"
	"os"
	"time"

	"viakv/bench/chaos"
	"viakv/bench/report"
)

// Gaps measures how long the clients of the other nodes go without an answer when something happens
// to one node. It founds a cluster of its own for that. The Spec says of how many nodes, and how
// often each outage is made.
func Gaps(ctx context.Context, s Spec, tools Tools, events Events) (*report.Report, error) {
	s.Scenario = "chaos" // one that needs no target
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s.Scenario = "gaps"
	binary, remove, err := viakv(ctx, s, tools, events)
	if err != nil {
		return nil, err
	}
	defer remove()
	began := time.Now()
	events.log("founding %d nodes", s.Nodes)
	logs, err := os.MkdirTemp("", "viakv-gaps-")
	if err != nil {
		return nil, err
	}
	lab, err := chaos.StartCalm(ctx, binary, logs, s.Nodes)
	if err != nil {
		return nil, err
	}
	defer lab.Close()
	r := s.begin(fmt.Sprintf("gaps of %d nodes, %d rounds", s.Nodes, s.Rounds), began, tools)
	r.Environment.Target = binary
	rows := map[string]int{}
	err = lab.MeasureGaps(ctx, chaos.Outages, s.Rounds, chaos.Lull, func(o chaos.Outage, node int, gaps []chaos.Gap, starved time.Duration) {
		row, known := rows[o.Name]
		if !known {
			row = len(r.Gaps)
			rows[o.Name], r.Gaps = row, append(r.Gaps, report.Gap{Outage: o.Name})
		}
		g := &r.Gaps[row]
		g.Rounds++
		g.Starved = max(g.Starved, starved.Microseconds())
		addGaps(g, gaps)
		whom := lab.Name(node)
		if o.ToNobody {
			whom = "nobody"
		}
		one := report.Gap{}
		addGaps(&one, gaps)
		events.log("%-24s %-8s get %s, get of keys that are set %s, set %s, %d refused, %d unknown, %d lost; bench itself %s", o.Name, whom, report.Micros(one.Get), report.Micros(one.HotGet),
			report.Micros(one.Set), one.Refused, one.Unknown, one.Lost, report.Micros(starved.Microseconds()))
	})
	switch {
	case ctx.Err() != nil:
		r.Fail("stopped before its end")
	case err != nil:
		r.Fail("%v", err)
	}
	for _, crash := range lab.Crashes() {
		r.Fail("%s", crash)
	}
	r.Seconds = time.Since(began).Seconds()
	if !r.Passed {
		r.Warnings = append(r.Warnings, "the nodes' logs are in "+logs)
		return r, nil
	}
	_ = os.RemoveAll(logs) // the run made this directory, and no message names it
	return r, nil
}

// addGaps adds what was measured in one round to what was measured in all.
func addGaps(sum *report.Gap, gaps []chaos.Gap) {
	longest := map[chaos.GapKind]*int64{chaos.GapGet: &sum.Get, chaos.GapHotGet: &sum.HotGet, chaos.GapSet: &sum.Set}
	for _, g := range gaps {
		of := longest[g.Kind]
		*of = max(*of, g.Longest.Microseconds())
		sum.Good, sum.Refused, sum.Unknown, sum.Lost = sum.Good+g.Answers, sum.Refused+g.Refused, sum.Unknown+g.Unknown, sum.Lost+g.Lost
	}
}

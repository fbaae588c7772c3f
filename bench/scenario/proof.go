package scenario

import (
	"context"
	"fmt"
	"time"

	"viakv/api/client"
	"viakv/bench/check"
	"viakv/bench/report"
)

// perKey is the longest time that the search of one key's history may take.
const perKey = time.Minute

func (u *setup) check(ctx context.Context, r *report.Report) error {
	endpoints, closeAll, err := u.endpoints()
	if err != nil {
		return err
	}
	defer closeAll()
	u.events.log("recording for %v", time.Duration(u.Duration))
	h := check.Record(ctx, u.recording(endpoints, u.events))
	end := h.Elapsed()
	if failed := h.Audit(ctx, endpoints, func(done, total uint64) { u.events.progress("audit", done, total) }); failed > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d reads of the audit failed", failed))
	}
	r.Check = h.Check(ctx, perKey, func(done, total uint64) { u.events.progress("search", done, total) })
	r.Check.Clients, r.Check.Seconds = u.Clients, end.Seconds()
	judgeCheck(r, r.Check)
	// Without faults of the check's own making, a target that answers less than half says too
	// little.
	c := r.Check
	if unanswered := c.Refused + c.Failed + c.Unknown; unanswered > c.Operations-c.Unknown {
		r.Fail("too little was answered: %d operations were refused, %d reads failed, %d writes were left open, and %d were answered", c.Refused, c.Failed, c.Unknown, c.Operations-c.Unknown)
	}
	return nil
}

func judgeCheck(r *report.Report, c *check.Verdict) {
	if c.Stale > 0 {
		r.Fail("%d answers were stale", c.Stale)
	}
	switch {
	case len(c.Violations) > 0:
		r.Fail("not linearizable: %d keys have histories that no register explains", len(c.Violations))
	case c.Undecided > 0:
		r.Fail("%d keys undecided: fewer clients or more active keys make the search shorter", c.Undecided)
	case c.Operations == c.Unknown || c.Legal == 0:
		r.Fail("there is nothing to judge: no operation was answered")
	}
}

// recording describes what the clients of a check do.
func (s *Spec) recording(endpoints []*client.Client, events Events) check.Config {
	return check.Config{
		Endpoints: endpoints, Clients: s.Clients, ActiveKeys: s.ActiveKeys, OpsPerKey: s.OpsPerKey, Duration: time.Duration(s.Duration),
		ClearEvery: time.Duration(s.ClearEvery), ScanEvery: time.Duration(s.ScanEvery), Seed: s.Seed, Hot: s.Hot,
		Prefix: fmt.Sprintf("check-%x-", time.Now().UnixMilli()),
		OnTick: func(t check.Tick) {
			line := fmt.Sprintf("%4.0fs  %6d answered  %5d refused  %4d open", t.Elapsed.Seconds(), t.Good, t.Refused, t.Open)
			if t.Stale > 0 {
				line += fmt.Sprintf("  %d STALE", t.Stale)
			}
			events.log("%s", line)
		},
	}
}

// endpoints makes a client of each target.
func (u *setup) endpoints() (out []*client.Client, closeAll func(), err error) {
	options, err := u.options()
	if err != nil {
		return nil, nil, err
	}
	closeAll = func() {
		for _, c := range out {
			c.Close()
		}
	}
	for _, t := range u.Targets {
		config := u.config
		config.Endpoints = []string{t}
		c, err := client.New(config)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		out = append(out, c.With(options))
	}
	return out, closeAll, nil
}

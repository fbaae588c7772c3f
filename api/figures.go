package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"viakv/api/document"
	"viakv/api/history"
	"viakv/api/kv"
	"viakv/api/sleep"
)

// This file counts what clients' requests came to, and records it for the cluster: /history.

// figures count what a server has answered and refused (kv.Figures).
type figures struct {
	process       uint64
	reads, writes tally
	took          [len(kv.LatencyBounds) + 1]atomic.Uint64
}

// tally counts requests of one kind.
type tally struct{ answered, refused atomic.Uint64 }

// draw names the process. Zero stands for none.
func (f *figures) draw() { f.process = max(1, rand.Uint64()) }

// of returns where an endpoint's requests are counted, or nil where they are not.
func (f *figures) of(path string) *tally {
	switch path {
	case "/get", "/is":
		return &f.reads
	case "/set", "/rm":
		return &f.writes
	}
	return nil
}

// count counts one answer. Of these endpoints, 404 means that there is no such key. Any other 4xx
// is the client's own mistake.
func (f *figures) count(t *tally, status int, took time.Duration) {
	switch {
	case status < 300 || status == kindMissing.status:
		t.answered.Add(1)
		seconds, class := took.Seconds(), 0
		for class < len(kv.LatencyBounds) && seconds > kv.LatencyBounds[class] {
			class++
		}
		f.took[class].Add(1)
	case status >= 500:
		t.refused.Add(1)
	}
}

// Figures returns what the server has counted of its clients' requests.
func (s *Server) Figures() kv.Figures {
	f := &s.metrics.figures
	out := kv.Figures{
		Process: f.process, At: time.Now(),
		ReadsAnswered: f.reads.answered.Load(), ReadsRefused: f.reads.refused.Load(),
		WritesAnswered: f.writes.answered.Load(), WritesRefused: f.writes.refused.Load(),
	}
	for i := range f.took {
		out.Took[i] = f.took[i].Load()
	}
	return out
}

// recordEvery is the time between two looks at the cluster.
const recordEvery = time.Second

// Record records what the cluster does, for /history, until ctx ends. The store must work until
// Record has returned.
func (s *Server) Record(ctx context.Context) {
	for {
		s.history.Observe(s.lookAround())
		if !sleep.For(ctx, recordEvery) {
			return
		}
	}
}

// lookAround returns what this node knows of its cluster now.
func (s *Server) lookAround() *history.Look {
	status := s.config.Cluster.Status()
	l := &history.Look{
		At: time.Now(), Verdict: status.Health.Level, Members: max(1, len(status.Members)), Answering: status.Health.Answering,
		Keys: status.Keys, Bytes: status.Bytes, Figures: []kv.Figures{s.Figures()},
	}
	for i := range status.Members {
		if f := status.Members[i].Figures; f != nil {
			l.Figures = append(l.Figures, *f)
		}
	}
	return l
}

// showHistory answers /history. An hour has nine thousand values, so they are not one a line.
func showHistory(x *exchange) error {
	since, err := x.since()
	if err != nil {
		return err
	}
	status := x.server.config.Cluster.Status()
	kept, live := x.server.history.Since(since)
	b, err := json.Marshal(historyDocument(&status, kept, live))
	if err != nil {
		return fmt.Errorf("api: encoding the answer: %w", err)
	}
	x.json(append(b, '\n'))
	return nil
}

// since returns the value of the parameter since, in Unix milliseconds; zero without one.
func (x *exchange) since() (int64, error) {
	s, err := x.short(parameterSince)
	if err != nil || !x.parameters.seen.has(parameterSince) {
		return 0, err
	}
	n, err := strconv.ParseUint(s, 10, 53)
	if err != nil {
		return 0, badParameter(parameterSince, "give a time in milliseconds since 1970, as a point has it")
	}
	return int64(n), nil
}

// historyDocument returns the document of a record.
func historyDocument(s *kv.Status, kept []history.Point, live history.Point) document.History {
	out := document.History{Self: s.Self, Scope: "node", EverySeconds: int(history.Every / time.Second), Points: pointsDocument(kept)}
	if s.Mode == "mesh" && s.N > 0 {
		out.Scope = "cluster"
	}
	if live.At > 0 {
		now := pointsDocument([]history.Point{live})
		out.Now = &now
	}
	return out
}

// pointsDocument returns points as columns.
func pointsDocument(points []history.Point) document.Points {
	n := len(points)
	out := document.Points{
		At: make([]int64, n), Reads: make([]*float32, n), Writes: make([]*float32, n), ReadsRefused: make([]*float32, n), WritesRefused: make([]*float32, n),
		P50: make([]*float32, n), P99: make([]*float32, n), Keys: make([]int64, n), Bytes: make([]int64, n),
		Members: make([]int, n), Reporting: make([]int, n), Answering: make([]int, n), Verdict: make([]string, n),
	}
	for i := range points {
		p := &points[i]
		out.At[i], out.Keys[i], out.Bytes[i], out.Verdict[i] = p.At, p.Keys, p.Bytes, p.Verdict.String()
		out.Members[i], out.Reporting[i], out.Answering[i] = int(p.Members), int(p.Reporting), int(p.Answering)
		if p.Reporting > 0 {
			out.Reads[i], out.Writes[i] = &p.ReadsAnswered, &p.WritesAnswered
			out.ReadsRefused[i], out.WritesRefused[i] = &p.ReadsRefused, &p.WritesRefused
		}
		if p.P50 >= 0 && p.P99 >= 0 {
			out.P50[i], out.P99[i] = &p.P50, &p.P99
		}
	}
	return out
}

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/document"
	"viakv/api/health"
	"viakv/api/kv"
	"viakv/api/kv/kvtest"
)

// A request is answered, refused, or the client's own mistake.
func TestFiguresTellAnswersFromRefusals(t *testing.T) {
	var fault error
	h := start(t, Config{Store: &recorder{Reference: kvtest.Reference{}, hook: func(context.Context, string) error { return fault }}})
	h.get("/set?k=a&v=1").want(t, 200, "*")
	for _, path := range []string{"/get?k=a", "/is?k=a"} {
		h.get(path).want(t, 200, "*")
	}
	h.get("/rm?k=a").want(t, 200, "*")
	for _, path := range []string{"/get?k=a", "/is?k=a", "/rm?k=a"} {
		h.get(path).problem(t, 404, "missing")
	}
	for _, path := range []string{"/get", "/set?k=a", "/rm?k=", "/is?k=%zz"} {
		h.get(path).problem(t, 400, "bad-parameter")
	}
	h.do("PUT", "/set?k=a&v=1", nil).problem(t, 405, "method-not-allowed")
	answered := h.server.Figures()
	if answered.ReadsAnswered != 4 || answered.WritesAnswered != 3 || answered.ReadsRefused+answered.WritesRefused != 0 {
		t.Errorf("%+v", answered)
	}
	for i, f := range []error{&kv.Unavailable{Reason: "no quorum"}, &kv.Unavailable{Outcome: kv.Unknown}, io.ErrUnexpectedEOF, kv.ErrMemoryLimit} {
		fault = f
		for _, path := range []string{"/get?k=a", "/is?k=a", "/set?k=a&v=1", "/rm?k=a"} {
			if a := h.get(path); a.status < 500 {
				t.Errorf("%s: %d", path, a.status)
			}
		}
		if f := h.server.Figures(); f.ReadsRefused != uint64(2*(i+1)) || f.WritesRefused != uint64(2*(i+1)) {
			t.Errorf("after %v: %+v", fault, f)
		}
	}
	fault = nil
	for _, path := range []string{"/getAll", "/cluster", "/metrics", "/nothing", "/clear"} {
		h.get(path)
	}
	f := h.server.Figures()
	total := uint64(0)
	for _, n := range f.Took {
		total += n
	}
	if f.ReadsAnswered != 4 || f.WritesAnswered != 3 || total != 7 {
		t.Errorf("%+v: want nothing but reads and writes of keys, and times of those answered", f)
	}
	if f.Process == 0 || f.Process != answered.Process || time.Since(f.At) > time.Minute {
		t.Errorf("%+v", f)
	}
	if other := newServer(t); other.Figures().Process == f.Process {
		t.Error("two servers have one name")
	}
}

// newServer returns a server that serves nothing.
func newServer(t *testing.T) *Server {
	s, err := New(Config{Store: &kvtest.Reference{}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The figures have the same durations as the metrics have.
func TestFiguresHaveTheDurations(t *testing.T) {
	s := newServer(t)
	m := s.metrics
	for i, bound := range kv.LatencyBounds {
		m.endpoint("/get").observe(200, time.Duration(bound*1e9), 0)
		if f := s.Figures(); f.Took[i] != 1 {
			t.Errorf("%v: %v", bound, f.Took)
		}
	}
	m.endpoint("/set").observe(200, time.Hour, 0)
	if f := s.Figures(); f.Took[len(kv.LatencyBounds)] != 1 {
		t.Errorf("%v", f.Took)
	}
}

// changing is a cluster whose status changes while it is read.
type changing struct {
	mesh
	is atomic.Pointer[kv.Status]
}

func (c *changing) Status() kv.Status { return *c.is.Load() }

// Each member's requests count once: this node's own, and what the others tell.
func TestHistoryIsOfTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := kv.Figures{Process: 5}
		cluster := new(changing)
		cluster.is.Store(&kv.Status{})
		s, err := New(Config{Store: &kvtest.Reference{}, Cluster: cluster})
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { s.Record(ctx); close(done) }()
		m := s.metrics.endpoint("/get")
		time.Sleep(recordEvery / 2) // what happens, happens between two looks
		for range 11 {
			other.At = time.Now()
			other.WritesRefused += 10
			told := other
			cluster.is.Store(&kv.Status{Mode: "mesh", N: 3, Self: "n1", Keys: 4, Bytes: 5, Health: health.Verdict{Level: health.ReadsOnly, Answering: 2},
				Members: []kv.Member{{Name: "n1"}, {Name: "n2", Figures: &told}, {Name: "n3"}}})
			m.observe(200, time.Millisecond, 0)
			time.Sleep(recordEvery)
		}
		end()
		<-done
		kept, live := s.history.Since(0)
		if len(kept) != 3 || kept[2].ReadsAnswered != 1 || kept[2].WritesRefused != 10 || live.ReadsAnswered != 1 || live.WritesRefused != 10 || live.Reporting != 2 || live.Members != 3 ||
			live.Answering != 2 || live.Verdict != health.ReadsOnly || live.Keys != 4 || live.Bytes != 5 {
			t.Errorf("%+v, %+v", kept, live)
		}
	})
}

func TestHistory(t *testing.T) {
	cluster := &mesh{status: kv.Status{Mode: "mesh", N: 2, Self: "n1", Members: []kv.Member{{Name: "n1"}, {Name: "n2"}}, Health: health.Verdict{Level: health.Serving}}}
	h := start(t, Config{Cluster: cluster})
	read := func(path string) (out document.History) {
		t.Helper()
		if err := json.Unmarshal([]byte(h.get(path).body), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if d := read("/history"); d.Now != nil || d.Scope != "cluster" || d.Self != "n1" || d.EverySeconds != 5 || d.Points.At == nil || len(d.Points.At) != 0 {
		t.Errorf("before the first look: %+v", d)
	}
	for i := range 11 {
		l := h.server.lookAround()
		l.At = time.Unix(int64(1000+i), 0)
		l.Figures[0] = kv.Figures{Process: 1, At: l.At, ReadsAnswered: uint64(10 * i), WritesRefused: uint64(i)}
		l.Figures[0].Took[2] = uint64(10 * i)
		h.server.history.Observe(l)
	}
	d := read("/history")
	p := d.Points
	if len(p.At) != 3 || p.Reads[0] != nil || p.P50[0] != nil || *p.Reads[2] != 10 || *p.Writes[2] != 0 || *p.ReadsRefused[2] != 0 || *p.WritesRefused[2] != 1 ||
		*p.P50[2] <= 100e-6 || *p.P99[2] > 250e-6 || p.Members[2] != 2 || p.Reporting[2] != 1 || p.Verdict[2] != "serving" {
		t.Errorf("%+v", d)
	}
	if len(d.Now.At) != 1 || d.Now.At[0] != 1_010_000 || *d.Now.Reads[0] != 10 {
		t.Errorf("%+v", d.Now)
	}
	if later := read(fmt.Sprint("/history?since=", p.At[1])); len(later.Points.At) != 1 || later.Points.At[0] != p.At[2] || later.Now.At[0] != 1_010_000 {
		t.Errorf("%+v", later)
	}
	for _, since := range []string{"", "-1", "x", "1.5", "99999999999999999999"} {
		if p := h.get("/history?since="+since).problem(t, 400, "bad-parameter"); p.Parameter != "since" {
			t.Errorf("%q: %+v", since, p)
		}
	}
	// A node that belongs to no mesh, or is on a database, knows its own requests alone.
	for _, status := range []kv.Status{{Mode: "mesh", Self: "n1"}, {Mode: "postgres", Self: "n1", N: 1}} {
		cluster.status = status
		if d := read("/history"); d.Scope != "node" {
			t.Errorf("%+v", d)
		}
	}
}

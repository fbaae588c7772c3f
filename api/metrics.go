package api

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"viakv/api/kv"
)

// metrics are a server's metrics. All counters begin at zero, since Prometheus would take the first
// value that it sees for the beginning, and miss the event. Only the histograms of an endpoint and
// a status class begin when the class first occurs.
type metrics struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	sent      *prometheus.CounterVec
	overloads prometheus.Counter
	malformed prometheus.Counter
	denied    *prometheus.CounterVec
	panics    prometheus.Counter
	pairs     prometheus.Counter
	loaded    prometheus.Counter
	cut       *prometheus.CounterVec
	figures   figures
	page      fasthttp.RequestHandler
	// pages holds, by port, a token for each page that is being made.
	pages [2]chan struct{}
}

// maxPages is how many pages are made at once for one port. Each takes some hundred KiB, and a
// thread for the system's files that it reads.
const maxPages = 8

// endpointMetrics holds one endpoint's children.
type endpointMetrics struct {
	metrics *metrics
	path    string
	sent    prometheus.Counter
	tally   *tally                          // of the figures; nil: they do not have this endpoint
	classes [6]atomic.Pointer[classMetrics] // by status / 100
}

type classMetrics struct {
	requests prometheus.Counter
	seconds  prometheus.Observer
}

func newMetrics(registry *prometheus.Registry, s *Server) (*metrics, error) {
	// counter, vector, gauge and counted make metrics with the common prefix viakv_http_.
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "viakv", Subsystem: "http", Name: name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "viakv", Subsystem: "http", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "viakv", Subsystem: "http", Name: name, Help: help}, f)
	}
	counted := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "viakv", Subsystem: "http", Name: name, Help: help}, f)
	}
	m := &metrics{
		requests: vector("requests_total", "Requests answered, by endpoint and status class.", "endpoint", "class"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "viakv", Subsystem: "http", Name: "request_duration_seconds",
			Help: "Time from a request's arrival to its answer, or to the end of its stream.", Buckets: kv.LatencyBounds[:]}, []string{"endpoint", "class"}),
		sent:      vector("response_body_bytes_total", "Bytes of response bodies, compressed where they are.", "endpoint"),
		overloads: counter("overloads_total", "Requests refused because too many were in flight, too many scans or loads ran, or too many keys were looked up at once."),
		malformed: counter("malformed_requests_total", "Requests that could not be read: broken, too large or too slow."),
		denied:    vector("denied_requests_total", "Requests refused for their token, role, origin or host.", "reason"),
		panics:    counter("panics_total", "Faults of the program that a request ran into."),
		pairs:     counter("scanned_pairs_total", "Keys, values and pairs that scans delivered."),
		loaded:    counter("loaded_values_total", "Values that loads stored."),
		cut:       vector("cut_streams_total", "Streams that ended before their end, by who ended them.", "by"),
		pages:     [2]chan struct{}{make(chan struct{}, maxPages), make(chan struct{}, maxPages)},
	}
	m.figures.draw()
	for _, c := range []prometheus.Collector{
		m.requests, m.seconds, m.sent, m.overloads, m.malformed, m.denied, m.panics, m.pairs, m.loaded, m.cut,
		gauge("requests_in_flight", "Requests being worked on.", func() float64 { return float64(s.inFlight.Load()) }),
		gauge("scans_in_flight", "Scans running.", func() float64 { return float64(len(s.scans)) }),
		gauge("loads_in_flight", "Loads running.", func() float64 { return float64(len(s.loads)) }),
		gauge("connections", "Open public connections.", func() float64 { open, _ := s.gate.stats(); return float64(open) }),
		gauge("connections_limit", "Public connections that may be open at once: --max-connections, or fewer where the limit of open files wants it.",
			func() float64 { return float64(s.gate.max) }),
		counted("rejected_connections_total", "Connections turned away because too many were open.",
			func() float64 { _, r := s.gate.stats(); return float64(r) }),
		counted("accept_failures_total", "Attempts to accept a public connection that failed, for want of descriptors or memory for example.",
			func() float64 { return float64(s.gate.failures()) }),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("api: metrics: %w", err)
		}
	}
	for _, reason := range []string{deniedHost, deniedOrigin, deniedNoToken, deniedUnknownToken, deniedRole} {
		m.denied.WithLabelValues(reason)
	}
	for _, by := range []string{cutByClient, cutByServer} {
		m.cut.WithLabelValues(by)
	}
	// One collector that fails must not hide the others.
	page := promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	m.page = fasthttpadaptor.NewFastHTTPHandler(page)
	return m, nil
}

func (m *metrics) endpoint(path string) *endpointMetrics {
	for _, class := range []string{"2xx", "4xx", "5xx"} {
		m.requests.WithLabelValues(path, class)
	}
	return &endpointMetrics{metrics: m, path: path, sent: m.sent.WithLabelValues(path), tally: m.figures.of(path)}
}

// Why a request is denied.
const (
	deniedHost         = "host"
	deniedOrigin       = "origin"
	deniedNoToken      = "no token"
	deniedUnknownToken = "unknown token"
	deniedRole         = "role"
)

// Who ended a stream before its end.
const (
	cutByClient = "client"
	cutByServer = "server"
)

func (m *metrics) deny(reason string) { m.denied.WithLabelValues(reason).Inc() }

// observe counts one answer.
func (e *endpointMetrics) observe(status int, took time.Duration, bytes int) {
	c := e.class(status / 100)
	c.requests.Inc()
	c.seconds.Observe(took.Seconds())
	e.sent.Add(float64(bytes))
	if e.tally != nil {
		e.metrics.figures.count(e.tally, status, took)
	}
}

// load counts what became of a load. To the figures each value is a write.
func (m *metrics) load(stored, refused int64) {
	m.loaded.Add(float64(stored))
	m.figures.writes.answered.Add(uint64(stored))
	m.figures.writes.refused.Add(uint64(refused))
}

func (e *endpointMetrics) class(n int) *classMetrics {
	if n < 1 || n >= len(e.classes) {
		n = 5
	}
	if c := e.classes[n].Load(); c != nil {
		return c
	}
	// Two requests may be the first of their class at once and both do this. The vectors give both
	// the same children.
	label := string(rune('0'+n)) + "xx"
	c := &classMetrics{
		requests: e.metrics.requests.WithLabelValues(e.path, label),
		seconds:  e.metrics.seconds.WithLabelValues(e.path, label),
	}
	e.classes[n].Store(c)
	return c
}

// publicPort and adminPort are the ports that have /metrics. Each has its own bound on pages, so
// that clients of the public port cannot block monitoring at the admin port.
const (
	publicPort = iota
	adminPort
)

func showPublicMetrics(x *exchange) error { return x.showMetrics(publicPort) }
func showAdminMetrics(x *exchange) error  { return x.showMetrics(adminPort) }

// showMetrics answers /metrics.
func (x *exchange) showMetrics(port int) error {
	pages := x.server.metrics.pages[port]
	select {
	case pages <- struct{}{}:
		defer func() { <-pages }()
	default:
		return overload("the server is making as many pages of metrics as it may (" + strconv.Itoa(maxPages) + ")")
	}
	x.server.metrics.page(x.ctx)
	if x.ctx.Response.StatusCode() >= 500 {
		return errors.New("api: the metrics could not be gathered")
	}
	return nil
}

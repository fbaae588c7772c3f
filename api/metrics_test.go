package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMetrics(t *testing.T) {
	store, _ := filled(t, 3)
	h := start(t, Config{Store: store})
	h.get("/set?k=a&v=12345")
	for range 3 {
		h.get("/get?k=a")
	}
	h.get("/get?k=none")
	h.get("/getKeys")
	h.get("/nothing")
	h.get("/else")
	page := h.get("/metrics").body
	for _, want := range []string{
		`viakv_http_requests_total{class="2xx",endpoint="/get"} 3`,
		`viakv_http_requests_total{class="4xx",endpoint="/get"} 1`,
		`viakv_http_requests_total{class="4xx",endpoint="unknown"} 2`,
		`viakv_http_requests_total{class="5xx",endpoint="/get"} 0`,
		`viakv_http_requests_total{class="2xx",endpoint="/leave"} 0`,
		`viakv_http_denied_requests_total{reason="unknown token"} 0`,
		`viakv_http_cut_streams_total{by="server"} 0`,
		`viakv_http_request_duration_seconds_count{class="2xx",endpoint="/get"} 3`,
		`viakv_http_request_duration_seconds_bucket{class="2xx",endpoint="/get",le="+Inf"} 3`,
		`viakv_http_scanned_pairs_total 4`,
		`viakv_http_connections 1`,
		`viakv_http_requests_in_flight 0`,
		`viakv_http_scans_in_flight 0`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(page, `seconds_count{class="5xx"`) || strings.Contains(page, "/else") {
		t.Error("there are histograms of what never happened, or series of what a client sent")
	}
}

// The names follow Prometheus's conventions.
func TestMetricsAreNamedWell(t *testing.T) {
	h := start(t, Config{})
	h.get("/get?k=a")
	problems, err := promlint.New(strings.NewReader(h.get("/metrics").body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// broken is a collector that fails when it is gathered.
type broken struct{}

func (broken) Describe(chan<- *prometheus.Desc) {}
func (broken) Collect(c chan<- prometheus.Metric) {
	c <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "", nil, nil), errors.New("broken"))
}

// A collector that fails does not hide the others.
func TestBrokenCollector(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(broken{})
	h := start(t, Config{Registry: registry})
	if a := h.get("/metrics"); a.status != 200 || !strings.Contains(a.body, "viakv_http_connections") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A store that fails all the time does not fill the disk with its messages.
func TestRepeatedErrorsAreSampled(t *testing.T) {
	t.Parallel()
	store := &recorder{hook: func(context.Context, string) error { return errors.New("a fault") }}
	core, logs := observer.New(zap.InfoLevel)
	h := start(t, Config{Store: store, Logger: zap.New(core)})
	for range 500 {
		h.get("/get?k=a")
	}
	if n := logs.Len(); n < 20 || n > 250 {
		t.Errorf("%d lines for 500 errors", n)
	}
}

// Logs hold neither keys nor values (A7).
func TestNothingOfTheDataIsLogged(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	h := start(t, Config{Logger: zap.New(core)})
	h.get("/set?k=secretkey&v=secretvalue")
	h.get("/get?k=secretkey")
	h.get("/getAll?prefix=secretkey")
	h.get("/get?k=secretkey%zz")
	h.raw("GET /get?k=secretkey secretvalue HTTP/1.1\r\n\r\n")
	h.raw("BAD secretvalue\r\n\r\n")
	if logs.Len() < 5 {
		t.Errorf("only %d lines", logs.Len())
	}
	for _, e := range logs.All() {
		if s := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(s, "secret") {
			t.Errorf("logged %s", s)
		}
	}
}

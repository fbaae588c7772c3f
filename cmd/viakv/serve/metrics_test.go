package serve

import (
	"fmt"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"viakv/api"
	"viakv/api/health"
	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/node"
	"viakv/node/database/stateless"
)

// page returns what a collector renders, without comments.
func page(t *testing.T, c prometheus.Collector) (series []string) {
	t.Helper()
	r := prometheus.NewPedanticRegistry() // compares the collector with its Describe
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	for l := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(l, "#") {
			series = append(series, strings.TrimSpace(l))
		}
	}
	slices.Sort(series)
	return series
}

// shows compares what a collector renders with the wanted series, in their order.
func shows(t *testing.T, c prometheus.Collector, want ...string) {
	t.Helper()
	if got := page(t, c); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestClusterMetrics(t *testing.T) {
	status := kv.Status{
		Mode: "mesh", Self: "a", State: "active", Epoch: 7, Generation: 2, N: 3, R: 2, W: 2, Unsettled: &kv.SizeChange{Member: "c"},
		Keys: 10, Tombstones: 1, Bytes: 4096, MaxBytes: 8192,
		Members: []kv.Member{
			{Name: "a", State: "active", Reach: health.Answers, MaxBytes: 8192, Reading: &kv.Reading{Why: kv.NotAloneCatching}},
			{Name: "b", State: "vacant", Hints: 5},
			{Name: "c", State: "joining", Reach: health.Answers, RTT: 250 * time.Microsecond, MaxBytes: 4096, Full: true, Sync: &kv.Sync{Kind: "join", Done: 0.5}},
		},
	}
	status = kvtest.Judged(status)
	events := func() map[string]uint64 { return map[string]uint64{"refusing": 2} }
	want := []string{
		`viakv_cluster_can_change 0`,
		`viakv_cluster_can_read 0`,
		`viakv_cluster_can_write 0`,
		`viakv_cluster_copies 1`,
		`viakv_cluster_copies_needed 2`,
		`viakv_cluster_epoch 7`,
		`viakv_cluster_failures_borne{operation="read"} 0`,
		`viakv_cluster_failures_borne{operation="write"} 0`,
		`viakv_cluster_generation 2`,
		`viakv_cluster_members{state="active"} 1`,
		`viakv_cluster_members{state="joining"} 1`,
		`viakv_cluster_members{state="rebuilding"} 0`,
		`viakv_cluster_members{state="vacant"} 1`,
		`viakv_cluster_quorum_nodes{phase="read"} 2`,
		`viakv_cluster_quorum_nodes{phase="write"} 2`,
		`viakv_cluster_unsettled 1`,
		`viakv_cluster_verdict{verdict="degraded"} 0`,
		`viakv_cluster_verdict{verdict="reads only"} 0`,
		`viakv_cluster_verdict{verdict="refusing"} 1`,
		`viakv_cluster_verdict{verdict="serving"} 0`,
		`viakv_cluster_weak_quorums 0`,
		`viakv_member_full{member="a"} 0`,
		`viakv_member_full{member="c"} 1`,
		`viakv_member_hints{member="b"} 5`,
		`viakv_member_hints{member="c"} 0`,
		`viakv_member_reachable{member="b"} 0`,
		`viakv_member_reachable{member="c"} 1`,
		`viakv_member_round_trip_seconds{member="c"} 0.00025`,
		`viakv_node_active 1`,
		`viakv_reads_alone 0`,
		`viakv_reads_not_alone{reason="catching up"} 1`,
		`viakv_reads_not_alone{reason="idle"} 0`,
		`viakv_reads_not_alone{reason="setting"} 0`,
		`viakv_reads_not_alone{reason="too few leases"} 0`,
		`viakv_reads_not_alone{reason="weak quorums"} 0`,
		`viakv_store_bytes 4096`,
		`viakv_store_keys 10`,
		`viakv_store_limit_bytes 8192`,
		`viakv_store_tombstones 1`,
		`viakv_sync_progress_ratio{kind="join",member="c"} 0.5`,
	}
	for _, name := range health.EventNames() { // each has its series from the start
		want = append(want, fmt.Sprintf(`viakv_events_total{event=%q} %d`, name, events()[name]))
	}
	slices.Sort(want)
	shows(t, newClusterMetrics(func() kv.Status { return status }, events), want...)

	status.Members[0].Reading = &kv.Reading{Alone: true}
	for i := range want {
		want[i] = strings.Replace(strings.Replace(want[i], "reads_alone 0", "reads_alone 1", 1), `"catching up"} 1`, `"catching up"} 0`, 1)
	}
	shows(t, newClusterMetrics(func() kv.Status { return status }, events), want...)
}

func TestMetricsOfANodeOnADatabase(t *testing.T) {
	status := kv.Status{Mode: "PostgreSQL", State: "unavailable", Generation: 3}
	// The database knows the rest.
	got := page(t, newClusterMetrics(func() kv.Status { return status }, func() map[string]uint64 { return nil }))
	got = slices.DeleteFunc(got, func(l string) bool { return strings.HasPrefix(l, "viakv_events_total") })
	want := []string{`viakv_cluster_can_read 0`, `viakv_cluster_can_write 0`, `viakv_cluster_generation 3`,
		`viakv_cluster_verdict{verdict="degraded"} 0`, `viakv_cluster_verdict{verdict="reads only"} 0`,
		`viakv_cluster_verdict{verdict="refusing"} 1`, `viakv_cluster_verdict{verdict="serving"} 0`, "viakv_node_active 0"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// MetricNames returns the names of all metrics of viakv, of a mesh node and of a node on a
// database, without those that Prometheus' library adds.
func MetricNames(t *testing.T) (names []string) {
	t.Helper()
	registry := newRegistry("test")
	registry.MustRegister(newClusterMetrics(func() kv.Status { return kv.Status{} }, func() map[string]uint64 { return nil }), newNodeMetrics(func() node.Stats { return node.Stats{} }),
		newPoolMetrics(func() stateless.Pool { return stateless.Pool{} }), newCollectedRows(func() uint64 { return 0 }))
	none := func() uint64 { return 0 }
	registry.MustRegister(newLostLogLines(none), newAcceptFailures(none), newPeerPanics(none))
	if _, err := api.New(api.Config{Store: &kvtest.Reference{}, Registry: registry}); err != nil {
		t.Fatal(err)
	}
	out := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(out)
		close(out)
	}()
	name := regexp.MustCompile(`fqName: "(viakv_[a-z_]+)"`)
	for d := range out {
		if m := name.FindStringSubmatch(d.String()); m != nil && !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	if len(names) < 40 {
		t.Fatalf("only %d metrics were found", len(names))
	}
	slices.Sort(names)
	return names
}

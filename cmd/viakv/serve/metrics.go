package serve

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"viakv/api/health"
	"viakv/api/kv"
)

// descriptions are a part of a collector: what it renders.
type descriptions []*prometheus.Desc

// describe adds series that these labels tell apart.
func (d *descriptions) describe(name, help string, labels ...string) *prometheus.Desc {
	described := prometheus.NewDesc("viakv_"+name, help, labels, nil)
	*d = append(*d, described)
	return described
}

// Describe implements prometheus.Collector.
func (d *descriptions) Describe(out chan<- *prometheus.Desc) {
	for _, described := range *d {
		out <- described
	}
}

// clusterMetrics renders what /cluster shows. Its labels are the members' names and states, which
// are as few as the members.
type clusterMetrics struct {
	descriptions
	status func() kv.Status
	events func() map[string]uint64

	canRead, canWrite, canChange               *prometheus.Desc
	failures, verdict, copies, copiesNeeded    *prometheus.Desc
	event                                      *prometheus.Desc
	active, epoch, generation, unsettled, weak *prometheus.Desc
	quorum, members                            *prometheus.Desc
	keys, tombstones, bytes, limit             *prometheus.Desc
	reachable, hints, roundTrip, full          *prometheus.Desc
	progress                                   *prometheus.Desc
	alone, notAlone                            *prometheus.Desc
}

func newClusterMetrics(status func() kv.Status, events func() map[string]uint64) *clusterMetrics {
	m := &clusterMetrics{status: status, events: events}
	m.canRead = m.describe("cluster_can_read", "1 while a get at this node is answered; else 0.")
	m.canWrite = m.describe("cluster_can_write", "1 while a set at this node is carried out; else 0.")
	m.canChange = m.describe("cluster_can_change", "1 while members can join and leave; else 0.")
	m.failures = m.describe("cluster_failures_borne", "How many more members may fail before the operation is refused at this node.", "operation")
	m.verdict = m.describe("cluster_verdict", "1 for the verdict on what becomes of requests at this node; 0 for the others.", "verdict")
	m.copies = m.describe("cluster_copies", "Full copies at hand: active members whose own processes answer.")
	m.copiesNeeded = m.describe("cluster_copies_needed", "Full copies that together hold every acknowledged write.")
	m.event = m.describe("events_total", "Changes that this node has seen, as /cluster?events= lists them.", "event")
	m.active = m.describe("node_active", "1 while this node is a synced member that serves, or its database answers; else 0.")
	m.epoch = m.describe("cluster_epoch", "Changes of the topology that this node knows of. It should be the same everywhere.")
	m.generation = m.describe("cluster_generation", "Clears so far.")
	m.unsettled = m.describe("cluster_unsettled", "1 while a change of the cluster's size waits for its sync.")
	m.weak = m.describe("cluster_weak_quorums", "1 where reads may miss acknowledged writes, because R + W is not above N.")
	m.quorum = m.describe("cluster_quorum_nodes", "Replicas that a read asks and a write waits for.", "phase")
	m.members = m.describe("cluster_members", "Members by state, as this node sees them.", "state")
	m.keys = m.describe("store_keys", "Keys with a value on this node.")
	m.tombstones = m.describe("store_tombstones", "Removed keys that are still remembered on this node.")
	m.bytes = m.describe("store_bytes", "Memory of this node's keys and values, as --max-memory counts it.")
	m.limit = m.describe("store_limit_bytes", "The limit of --max-memory; absent without one.")
	m.reachable = m.describe("member_reachable", "1 if the member's own process answers this node, in this cluster and at its epoch; else 0.", "member")
	m.hints = m.describe("member_hints", "Keys that this node holds back for a member that missed them.", "member")
	m.roundTrip = m.describe("member_round_trip_seconds", "Time that a member takes to answer this node's sign of life.", "member")
	m.full = m.describe("member_full", "1 while the member holds as much as its --max-memory allows, so that new values are refused at all nodes; absent where it has no limit.", "member")
	m.progress = m.describe("sync_progress_ratio", "How far the sync under way is, from 0 to 1; absent when there is none.", "member", "kind")
	m.alone = m.describe("reads_alone", "1 while gets at this node are answered from its own copy; else 0.")
	m.notAlone = m.describe("reads_not_alone", "1 for the reason why gets at this node ask other members; 0 for the others.", "reason")
	return m
}

// Collect implements prometheus.Collector.
func (m *clusterMetrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	s := m.status()
	gauge(m.active, truth(s.State == "active"))
	gauge(m.canRead, truth(s.Health.CanRead))
	gauge(m.canWrite, truth(s.Health.CanWrite))
	for _, l := range health.Levels() {
		gauge(m.verdict, truth(l == s.Health.Level), l.String())
	}
	counts := m.events()
	for _, name := range health.EventNames() { // all of them, so that an increase from zero is seen
		out <- prometheus.MustNewConstMetric(m.event, prometheus.CounterValue, float64(counts[name]), name)
	}
	gauge(m.generation, float64(s.Generation))
	if s.Mode != "mesh" {
		return // the database knows the rest
	}
	gauge(m.canChange, truth(s.Health.CanChange))
	gauge(m.failures, float64(s.Health.ReadFailures()), "read")
	gauge(m.failures, float64(s.Health.WriteFailures()), "write")
	gauge(m.copies, float64(s.Health.Answering))
	gauge(m.copiesNeeded, float64(s.Health.CopiesNeed))
	gauge(m.epoch, float64(s.Epoch))
	gauge(m.unsettled, truth(s.Unsettled != nil))
	gauge(m.weak, truth(s.Weak()))
	gauge(m.quorum, float64(s.R), "read")
	gauge(m.quorum, float64(s.W), "write")
	gauge(m.keys, float64(s.Keys))
	gauge(m.tombstones, float64(s.Tombstones))
	gauge(m.bytes, float64(s.Bytes))
	if s.MaxBytes > 0 {
		gauge(m.limit, float64(s.MaxBytes))
	}
	// All states, so that an alert sees a zero.
	var why kv.NotAlone
	alone := false
	states := map[string]int{health.Active: 0, health.Rebuilding: 0, health.Joining: 0, health.Vacant: 0}
	for i := range s.Members {
		member := &s.Members[i]
		states[member.State]++
		if p := member.Sync; p != nil {
			gauge(m.progress, p.Done, member.Name, p.Kind)
		}
		if member.MaxBytes > 0 {
			gauge(m.full, truth(member.Full), member.Name)
		}
		if member.Name == s.Self {
			if r := member.Reading; r != nil {
				alone, why = r.Alone, r.Why
			}
			continue
		}
		gauge(m.reachable, truth(member.Reach == health.Answers), member.Name)
		gauge(m.hints, float64(member.Hints), member.Name)
		if member.RTT > 0 {
			gauge(m.roundTrip, member.RTT.Seconds(), member.Name)
		}
	}
	for state, n := range states {
		gauge(m.members, float64(n), state)
	}
	gauge(m.alone, truth(alone))
	for _, reason := range kv.NotAloneReasons() {
		gauge(m.notAlone, truth(reason == why), string(reason))
	}
}

func newLostLogLines(lost func() uint64) prometheus.Collector {
	if lost == nil {
		lost = func() uint64 { return 0 }
	}
	return newCount("log_lines_lost_total", "Lines of the log that were not written: its reader was gone or took too little, or its disk was full.", lost)
}

func newAcceptFailures(failures func() uint64) prometheus.Collector {
	return newCount("peer_accept_failures_total", "Attempts to accept a connection of another member that failed, for want of descriptors or memory for example.", failures)
}

func newPeerPanics(panics func() uint64) prometheus.Collector {
	return newCount("peer_panics_total", "Faults of the program that a request of another member ran into.", panics)
}

func newCount(name, help string, count func() uint64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "viakv", Name: name, Help: help}, func() float64 { return float64(count()) })
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// newRegistry returns a registry with what every process shows. The parts of the server add their
// own metrics.
func newRegistry(commit string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "viakv_build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": Release, "commit": commit, "go": runtime.Version()},
	})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

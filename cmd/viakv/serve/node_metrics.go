package serve

import (
	"github.com/prometheus/client_golang/prometheus"

	"viakv/node"
)

// nodeMetrics renders what a node of the mesh counts. A node on a database has none of it.
type nodeMetrics struct {
	descriptions
	stats func() node.Stats
	rows  []nodeMetric

	connected, lastReply, waits *prometheus.Desc
}

// nodeMetric is one series that has no member label.
type nodeMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*node.Stats) float64
}

func newNodeMetrics(stats func() node.Stats) *nodeMetrics {
	m := &nodeMetrics{stats: stats}
	m.connected = m.describe("link_connected", "1 while the data connection to the member stands; else 0.", "member")
	m.lastReply = m.describe("link_last_reply_timestamp_seconds", "When something last came back from the member; absent before that.", "member")
	m.waits = m.describe("lease_wait_seconds", "Time that sets and removes waited for members that hold leases, of those that waited for a millisecond or more.")
	m.requests()
	m.scans()
	m.handoff()
	m.storage()
	return m
}

func (m *nodeMetrics) add(kind prometheus.ValueType, name, help string, labels prometheus.Labels, value func(*node.Stats) float64) {
	described := prometheus.NewDesc("viakv_"+name, help, nil, labels)
	m.descriptions = append(m.descriptions, described)
	m.rows = append(m.rows, nodeMetric{described, kind, value})
}

func (m *nodeMetrics) counter(name, help string, value func(*node.Stats) uint64) {
	m.labelled(name, help, nil, value)
}

func (m *nodeMetrics) labelled(name, help string, labels prometheus.Labels, value func(*node.Stats) uint64) {
	m.add(prometheus.CounterValue, name, help, labels, func(s *node.Stats) float64 { return float64(value(s)) })
}

func (m *nodeMetrics) gauge(name, help string, labels prometheus.Labels, value func(*node.Stats) int64) {
	m.add(prometheus.GaugeValue, name, help, labels, func(s *node.Stats) float64 { return float64(value(s)) })
}

func (m *nodeMetrics) requests() {
	m.counter("reads_total", "Reads of a key that this node coordinated.", func(s *node.Stats) uint64 { return s.Coordinator.Reads })
	m.counter("local_reads_total", "Reads that this node answered from its own copy.", func(s *node.Stats) uint64 { return s.Coordinator.Local })
	m.counter("quorum_reads_total", "Reads for which this node asked other members.", func(s *node.Stats) uint64 { return s.Coordinator.Asked })
	m.counter("writes_total", "Writes that this node coordinated.", func(s *node.Stats) uint64 { return s.Coordinator.Writes })
	m.counter("one_round_writes_total", "Writes that took one round of messages instead of two.", func(s *node.Stats) uint64 { return s.Coordinator.OneRound })
	m.counter("removes_total", "Removes that this node coordinated.", func(s *node.Stats) uint64 { return s.Coordinator.Removes })
	m.counter("read_repairs_total", "Reads that found replicas that differed, and wrote the highest version back.",
		func(s *node.Stats) uint64 { return s.Coordinator.Repaired })
	m.counter("conflicts_settled_total", "Pairs of concurrent versions of a key that were met, and settled by their tags.",
		func(s *node.Stats) uint64 { return s.Coordinator.Conflicts })
	m.counter("hedged_phases_total", "Phases that asked further replicas because the first did not answer in time.",
		func(s *node.Stats) uint64 { return s.Coordinator.Hedged })
	m.counter("renewed_phases_total", "Phases that were run again at a newer epoch.", func(s *node.Stats) uint64 { return s.Coordinator.Renewed })
	m.counter("forwarded_removes_total", "Removes that were sent to the key's owner.", func(s *node.Stats) uint64 { return s.Coordinator.Forwarded })
	m.counter("removes_contended_total", "Removes that overlapping requests for the same key left open: answered 503, outcome unknown, though enough members answered.",
		func(s *node.Stats) uint64 { return s.Coordinator.Contended })
	const unavailable, help = "requests_unavailable_total", "Requests that were not completed in time: outcome none did nothing, unknown may have."
	m.labelled(unavailable, help, prometheus.Labels{"outcome": "none"}, func(s *node.Stats) uint64 { return s.Coordinator.Unavailable })
	m.labelled(unavailable, help, prometheus.Labels{"outcome": "unknown"}, func(s *node.Stats) uint64 { return s.Coordinator.Unknown })
}

func (m *nodeMetrics) scans() {
	m.counter("scans_total", "Scans that were begun or resumed at this node.", func(s *node.Stats) uint64 { return s.Scans.Scans })
	const buckets, help = "scan_buckets_total", "Buckets by what scans met: the own copy answered alone, replicas agreed at once, were looked at again, or differed twice and were merged."
	m.labelled(buckets, help, prometheus.Labels{"result": "alone"}, func(s *node.Stats) uint64 { return s.Scans.Alone })
	m.labelled(buckets, help, prometheus.Labels{"result": "agreed"}, func(s *node.Stats) uint64 { return s.Scans.Agreed })
	m.labelled(buckets, help, prometheus.Labels{"result": "again"}, func(s *node.Stats) uint64 { return s.Scans.Again })
	m.labelled(buckets, help, prometheus.Labels{"result": "merged"}, func(s *node.Stats) uint64 { return s.Scans.Merged })
	m.counter("scan_merged_keys_total", "Keys that scans read because replicas differed, or because they were not known to be complete.", func(s *node.Stats) uint64 { return s.Scans.Read })
	m.counter("scan_renewed_rounds_total", "Rounds of scans that were made again at a newer epoch.", func(s *node.Stats) uint64 { return s.Scans.Renewed })
}

func (m *nodeMetrics) handoff() {
	m.counter("hints_noted_total", "Notes that a member missed a key.", func(s *node.Stats) uint64 { return s.Handoff.Hinted })
	m.counter("hints_replayed_total", "Records sent to members because of hints.", func(s *node.Stats) uint64 { return s.Handoff.Replayed })
	m.counter("hints_collapsed_total", "Times that a member's hints were too many and became a repair.", func(s *node.Stats) uint64 { return s.Handoff.Collapsed })
	m.counter("sync_repairs_total", "Comparisons with another member that were completed.", func(s *node.Stats) uint64 { return s.Handoff.Repairs })
	m.counter("sync_divergent_ranges_total", "Ranges that differed twice and were exchanged.", func(s *node.Stats) uint64 { return s.Handoff.Divergent })
	const keys, help = "sync_keys_total", "Records that rebuilds and repairs copied to this node, or sent to others."
	m.labelled(keys, help, prometheus.Labels{"direction": "received"}, func(s *node.Stats) uint64 { return s.Handoff.Received })
	m.labelled(keys, help, prometheus.Labels{"direction": "sent"}, func(s *node.Stats) uint64 { return s.Handoff.Sent })
	m.counter("sync_bytes_total", "About what copies, fetches, tags and digests moved.", func(s *node.Stats) uint64 { return s.Handoff.Bytes })
	m.counter("rebuilds_total", "Rebuilds of this node that were completed.", func(s *node.Stats) uint64 { return s.Handoff.Rebuilds })
	m.counter("rebuild_restarts_total", "Times that a rebuild lost its basis and began anew.", func(s *node.Stats) uint64 { return s.Handoff.StartOvers })
	m.counter("purges_total", "Purges that this node proposed and the cluster accepted.", func(s *node.Stats) uint64 { return s.Handoff.Purges })
	m.counter("purges_refused_total", "Purges that a member could not agree to.", func(s *node.Stats) uint64 { return s.Handoff.Refused })
	m.counter("purged_tombstones_total", "Tombstones that this node dropped because all members had them.", func(s *node.Stats) uint64 { return s.Handoff.Purged })
	m.counter("digest_checks_total", "Buckets whose digest was computed anew to check it.", func(s *node.Stats) uint64 { return s.Handoff.Checked })
	m.counter("digest_drift_total", "Buckets whose digest was wrong: a fault of the program. It should stay 0.",
		func(s *node.Stats) uint64 { return s.Handoff.Drift })
}

func (m *nodeMetrics) storage() {
	m.gauge("store_data_bytes", "Bytes of keys, versions and values, of removed keys as well.", nil, func(s *node.Stats) int64 { return s.Storage.DataBytes })
	m.gauge("store_used_bytes", "Bytes of data and the directories of its blocks.", nil, func(s *node.Stats) int64 { return s.Storage.UsedBytes })
	m.gauge("store_block_bytes", "Bytes of the blocks that hold data, their free room included.", nil, func(s *node.Stats) int64 { return s.Storage.Extents.Blocks })
	m.gauge("store_header_bytes", "Bytes of bucket headers.", nil, func(s *node.Stats) int64 { return s.Storage.HeaderBytes })
	m.gauge("store_leaving_bytes", "Bytes that a clear took out and that are being freed.", nil, func(s *node.Stats) int64 { return s.Storage.Leaving })
	const extents, help = "store_extent_bytes", "Bytes of extents: in use, empty but resident, or empty and given back to the system."
	m.gauge(extents, help, prometheus.Labels{"state": "used"}, func(s *node.Stats) int64 { return s.Storage.Extents.InUse })
	m.gauge(extents, help, prometheus.Labels{"state": "resting"}, func(s *node.Stats) int64 { return s.Storage.Extents.Resting })
	m.gauge(extents, help, prometheus.Labels{"state": "released"}, func(s *node.Stats) int64 { return s.Storage.Extents.Released })
	m.gauge("store_mapped_bytes", "Bytes of address space taken for extents.", nil, func(s *node.Stats) int64 { return s.Storage.Extents.Mapped })
	m.gauge("store_buckets", "Buckets of the store.", nil, func(s *node.Stats) int64 { return int64(s.Storage.Buckets) })
	m.gauge("store_chained_blocks", "Blocks beyond the first of their bucket; more than a few mean colliding hashes.", nil,
		func(s *node.Stats) int64 { return int64(s.Storage.Chained) })
}

// Collect implements prometheus.Collector.
func (m *nodeMetrics) Collect(out chan<- prometheus.Metric) {
	s := m.stats()
	for i := range m.rows {
		out <- prometheus.MustNewConstMetric(m.rows[i].desc, m.rows[i].kind, m.rows[i].value(&s))
	}
	w := &s.Coordinator.Waits
	out <- prometheus.MustNewConstHistogram(m.waits, w.Count, w.Total.Seconds(), w.UpTo())
	for _, l := range s.Links {
		out <- prometheus.MustNewConstMetric(m.connected, prometheus.GaugeValue, truth(l.Connected), l.Member)
		if !l.LastReply.IsZero() {
			out <- prometheus.MustNewConstMetric(m.lastReply, prometheus.GaugeValue, float64(l.LastReply.UnixMilli())/1e3, l.Member)
		}
	}
}

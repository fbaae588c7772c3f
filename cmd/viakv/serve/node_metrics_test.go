package serve

import (
	"testing"
	"time"

	"viakv/node"
)

func TestNodeMetrics(t *testing.T) {
	var s node.Stats
	s.Coordinator.Reads, s.Coordinator.Writes, s.Coordinator.Removes = 1, 2, 3
	s.Coordinator.Repaired, s.Coordinator.Conflicts, s.Coordinator.Hedged = 4, 5, 6
	s.Coordinator.Renewed, s.Coordinator.Forwarded, s.Coordinator.Unavailable, s.Coordinator.Unknown = 7, 8, 9, 10
	s.Coordinator.OneRound, s.Coordinator.Contended, s.Coordinator.Local = 17, 18, 19
	s.Coordinator.Asked, s.Coordinator.Waits.Count, s.Coordinator.Waits.Total = 52, 5, 1500*time.Millisecond
	s.Coordinator.Waits.Classes[0], s.Coordinator.Waits.Classes[6], s.Coordinator.Waits.Classes[10] = 2, 2, 1
	s.Scans.Scans, s.Scans.Agreed, s.Scans.Again, s.Scans.Merged, s.Scans.Read, s.Scans.Renewed = 11, 12, 13, 14, 15, 16
	s.Scans.Alone = 20
	h := &s.Handoff
	h.Hinted, h.Replayed, h.Collapsed, h.Repairs, h.Divergent, h.Received, h.Sent, h.Bytes = 21, 22, 23, 24, 25, 26, 27, 28
	h.Rebuilds, h.StartOvers, h.Purges, h.Purged, h.Refused, h.Checked, h.Drift = 29, 30, 31, 32, 33, 34, 35
	m := &s.Storage
	m.DataBytes, m.UsedBytes, m.HeaderBytes, m.Leaving, m.Buckets, m.Chained = 41, 42, 43, 44, 45, 46
	m.Extents.InUse, m.Extents.Blocks, m.Extents.Resting, m.Extents.Released, m.Extents.Mapped = 47, 48, 49, 50, 51
	s.Links = []node.LinkStats{{Member: "b", Connected: true, LastReply: time.UnixMilli(1500)}, {Member: "c"}}
	shows(t, newNodeMetrics(func() node.Stats { return s }),
		`viakv_conflicts_settled_total 5`,
		`viakv_digest_checks_total 34`,
		`viakv_digest_drift_total 35`,
		`viakv_forwarded_removes_total 8`,
		`viakv_hedged_phases_total 6`,
		`viakv_hints_collapsed_total 23`,
		`viakv_hints_noted_total 21`,
		`viakv_hints_replayed_total 22`,
		`viakv_lease_wait_seconds_bucket{le="+Inf"} 5`,
		`viakv_lease_wait_seconds_bucket{le="0.0025"} 2`,
		`viakv_lease_wait_seconds_bucket{le="0.005"} 2`,
		`viakv_lease_wait_seconds_bucket{le="0.01"} 2`,
		`viakv_lease_wait_seconds_bucket{le="0.025"} 2`,
		`viakv_lease_wait_seconds_bucket{le="0.05"} 2`,
		`viakv_lease_wait_seconds_bucket{le="0.1"} 2`,
		`viakv_lease_wait_seconds_bucket{le="0.25"} 4`,
		`viakv_lease_wait_seconds_bucket{le="0.5"} 4`,
		`viakv_lease_wait_seconds_bucket{le="1"} 4`,
		`viakv_lease_wait_seconds_bucket{le="2.5"} 4`,
		`viakv_lease_wait_seconds_count 5`,
		`viakv_lease_wait_seconds_sum 1.5`,
		`viakv_link_connected{member="b"} 1`,
		`viakv_link_connected{member="c"} 0`,
		`viakv_link_last_reply_timestamp_seconds{member="b"} 1.5`,
		`viakv_local_reads_total 19`,
		`viakv_one_round_writes_total 17`,
		`viakv_purged_tombstones_total 32`,
		`viakv_purges_refused_total 33`,
		`viakv_purges_total 31`,
		`viakv_quorum_reads_total 52`,
		`viakv_read_repairs_total 4`,
		`viakv_reads_total 1`,
		`viakv_rebuild_restarts_total 30`,
		`viakv_rebuilds_total 29`,
		`viakv_removes_contended_total 18`,
		`viakv_removes_total 3`,
		`viakv_renewed_phases_total 7`,
		`viakv_requests_unavailable_total{outcome="none"} 9`,
		`viakv_requests_unavailable_total{outcome="unknown"} 10`,
		`viakv_scan_buckets_total{result="again"} 13`,
		`viakv_scan_buckets_total{result="agreed"} 12`,
		`viakv_scan_buckets_total{result="alone"} 20`,
		`viakv_scan_buckets_total{result="merged"} 14`,
		`viakv_scan_merged_keys_total 15`,
		`viakv_scan_renewed_rounds_total 16`,
		`viakv_scans_total 11`,
		`viakv_store_block_bytes 48`,
		`viakv_store_buckets 45`,
		`viakv_store_chained_blocks 46`,
		`viakv_store_data_bytes 41`,
		`viakv_store_extent_bytes{state="released"} 50`,
		`viakv_store_extent_bytes{state="resting"} 49`,
		`viakv_store_extent_bytes{state="used"} 47`,
		`viakv_store_header_bytes 43`,
		`viakv_store_leaving_bytes 44`,
		`viakv_store_mapped_bytes 51`,
		`viakv_store_used_bytes 42`,
		`viakv_sync_bytes_total 28`,
		`viakv_sync_divergent_ranges_total 25`,
		`viakv_sync_keys_total{direction="received"} 26`,
		`viakv_sync_keys_total{direction="sent"} 27`,
		`viakv_sync_repairs_total 24`,
		`viakv_writes_total 2`,
	)
}

package handoff

import "sync/atomic"

// Stats counts what a driver did since it was made.
type Stats struct {
	Hinted     uint64 // times that a member was noted to have missed a key
	Replayed   uint64 // records sent because of hints
	Collapsed  uint64 // times that hints exceeded their bound and became a repair
	Repairs    uint64 // comparisons with another member that were completed
	Divergent  uint64 // ranges that differed twice and were exchanged
	Received   uint64 // records copied or fetched
	Sent       uint64 // records pushed by repairs
	Bytes      uint64 // about how many bytes copies, fetches, pushes, tags and digests moved
	Rebuilds   uint64 // rebuilds that were completed
	StartOvers uint64 // times that a rebuild lost its basis
	Purges     uint64 // purges that this node proposed and the topology accepted
	Purged     uint64 // tombstones that this node removed
	Refused    uint64 // purges that a member could not agree to
	Checked    uint64 // buckets whose digest was recomputed
	Drift      uint64 // buckets whose digest was wrong: a bug
}

type counters struct {
	hinted, replayed, collapsed, repairs, divergent, received, sent, bytes atomic.Uint64
	rebuilds, startOvers, purges, purged, refused, checked, drift          atomic.Uint64
}

// Stats returns the present counts.
func (d *Driver) Stats() Stats {
	s := &d.stats
	return Stats{
		Hinted: s.hinted.Load(), Replayed: s.replayed.Load(), Collapsed: s.collapsed.Load(),
		Repairs: s.repairs.Load(), Divergent: s.divergent.Load(), Received: s.received.Load(), Sent: s.sent.Load(), Bytes: s.bytes.Load(),
		Rebuilds: s.rebuilds.Load(), StartOvers: s.startOvers.Load(),
		Purges: s.purges.Load(), Purged: s.purged.Load(), Refused: s.refused.Load(),
		Checked: s.checked.Load(), Drift: s.drift.Load(),
	}
}

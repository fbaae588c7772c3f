package quorum

import "sync/atomic"

// Stats counts what the coordinator did since it was made.
type Stats struct {
	Reads, Writes, Removes uint64
	Fast                   uint64 // writes that took one round (D10)
	// Repaired counts the reads that found replicas to differ and wrote the highest record back
	// first.
	Repaired    uint64
	Conflicts   uint64 // pairs of concurrent versions that were met, and settled by their tags
	Hedged      uint64 // phases that asked more replicas because the first were too slow
	Renewed     uint64 // phases that were run again at a newer epoch
	Forwarded   uint64 // removes that were sent to the key's owner
	Unavailable uint64 // requests that ended with outcome none
	Unknown     uint64 // requests that ended with outcome unknown
}

type counters struct {
	reads, writes, removes, fast, repaired, conflicts, hedged, renewed, forwarded, unavailable, unknown atomic.Uint64
}

// Stats returns the present counts.
func (c *Coordinator) Stats() Stats {
	s := &c.stats
	return Stats{
		Reads: s.reads.Load(), Writes: s.writes.Load(), Removes: s.removes.Load(),
		Fast: s.fast.Load(), Repaired: s.repaired.Load(), Conflicts: s.conflicts.Load(), Hedged: s.hedged.Load(), Renewed: s.renewed.Load(),
		Forwarded: s.forwarded.Load(), Unavailable: s.unavailable.Load(), Unknown: s.unknown.Load(),
	}
}

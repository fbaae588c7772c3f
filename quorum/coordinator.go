package quorum

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// Config of a Coordinator.
type Config struct {
	Views replica.Views
	Peers Peers
	Hints Hints

	// Timeout of a request without a deadline of its own. Default 2 s.
	Timeout time.Duration
	// HedgeAfter is how long a phase waits for the replicas that it asked before it asks the others
	// too. A lower value costs more calls. A higher one costs latency when a replica stalls.
	// Default 10 ms.
	HedgeAfter time.Duration
	// Full reports whether a member has said lately that it may hold no more. It must not block.
	// When it is nil, the coordinator goes by the members' replies and by this node's own replica.
	Full func(v *replica.View, member int) bool
	// StoreTimeout is how long an operation waits, after its request was answered, for the replicas
	// that the answer did not need. Then they get a hint. Default 3 s.
	StoreTimeout time.Duration
}

// Stats counts what the coordinator did since it was made.
type Stats struct {
	Reads, Writes, Removes uint64
	Local                  uint64 // reads that were answered from this node's own copy (L3)
	Asked                  uint64 // the other reads
	OneRound               uint64 // writes that took one round (L14)
	Waits                  Waits  // of writes and removes for members that hold leases
	// Repaired counts the reads that found replicas to differ and wrote the highest record back:
	// first, or beside their answer where the record is known to be complete.
	Repaired    uint64
	Conflicts   uint64 // pairs of concurrent versions that were met, and settled by their tags
	Hedged      uint64 // phases that asked more replicas because the first were too slow
	Renewed     uint64 // phases that were run again at a newer epoch
	Forwarded   uint64 // removes that were sent to the key's owner
	Unavailable uint64 // requests that ended with outcome none
	Unknown     uint64 // requests that ended with outcome unknown, without those in Contended
	// Contended counts the removes that ended with outcome unknown because of overlapping requests
	// for the key. They say nothing about the members' health.
	Contended uint64
}

type counters struct {
	local, asked, writes, oneRound, removes, repaired, conflicts, hedged, renewed, forwarded, unavailable, unknown, contended atomic.Uint64

	waits waits
}

// Coordinator runs requests over the replicas. It is safe for concurrent use.
type Coordinator struct {
	cfg      Config
	stats    counters
	line     line          // for the removes that came to this node
	removes  queue         // for the removes of one key
	sequence atomic.Uint64 // numbers the removes that are forwarded

	turns      turns     // of reads
	gathering  gathering // of sets
	unfinished backlog
	together   chan struct{} // has a token of each operation of a batch
	asking     chan struct{} // has a token of each key of a batch for which replicas are asked

	// forwarding counts the removes that are under way at each owner, by its index. After a change
	// of size, the count may belong to another member for as long as a remove takes.
	forwarding [MaxMembers]atomic.Int32

	// The pools belong to the coordinator, because their timers and channels must not leave a
	// simulation's bubble.
	operations sync.Pool
	calls      sync.Pool
	buffers    sync.Pool // of *[]byte
	hashes     sync.Pool // of *[replica.MaxWarm]keyspace.Hash
	setters    sync.Pool
	batches    sync.Pool
}

// New returns a coordinator.
func New(cfg Config) *Coordinator {
	cfg.Timeout = cmp.Or(cfg.Timeout, 2*time.Second)
	cfg.HedgeAfter = cmp.Or(cfg.HedgeAfter, 10*time.Millisecond)
	cfg.StoreTimeout = cmp.Or(cfg.StoreTimeout, 3*time.Second)
	c := &Coordinator{cfg: cfg, line: make(line, maxRemoves), turns: newTurns(), gathering: newGathering(), unfinished: newBacklog(),
		together: make(chan struct{}, maxTogether), asking: make(chan struct{}, maxAsking)}
	c.operations.New = func() any { return newOperation(c) }
	c.calls.New = func() any { return new(Call) }
	c.buffers.New = func() any { return new([]byte) }
	c.hashes.New = func() any { return new([replica.MaxWarm]keyspace.Hash) }
	c.batches.New = func() any { return new(batch) }
	c.setters.New = func() any { return &setter{done: make(chan struct{}, 1)} }
	return c
}

// Stats returns the present counts.
func (c *Coordinator) Stats() Stats {
	s := &c.stats
	local, asked := s.local.Load(), s.asked.Load()
	return Stats{
		Reads: local + asked, Local: local, Asked: asked, Waits: s.waits.stats(), Writes: s.writes.Load(), Removes: s.removes.Load(),
		OneRound: s.oneRound.Load(), Repaired: s.repaired.Load(), Conflicts: s.conflicts.Load(), Hedged: s.hedged.Load(), Renewed: s.renewed.Load(),
		Forwarded: s.forwarded.Load(), Unavailable: s.unavailable.Load(), Unknown: s.unknown.Load(), Contended: s.contended.Load(),
	}
}

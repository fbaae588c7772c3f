package handoff

import (
	"math"
	"sync"
	"time"

	"viakv/api/kv"
	"viakv/ring/keyspace"
)

// share returns the part of all keys that lies in ranks below r. Partitions are of unequal size by
// design; within a partition the keys are spread evenly.
func share(r keyspace.Rank) float64 {
	p := float64(r.Partition())
	within := float64(r-r.Partition().First()) / float64(keyspace.Rank(1)<<56)
	// Partition p holds the hashes h in [0,1) with floor(256 log2(1+h)) = p.
	low, high := math.Exp2(p/keyspace.Partitions), math.Exp2((p+1)/keyspace.Partitions)
	return low - 1 + within*(high-low)
}

// portion returns the part of all keys that lies in a range.
func portion(r keyspace.Range) float64 {
	if r.To == 0 {
		return 1 - share(r.From)
	}
	return share(r.To) - share(r.From)
}

// progress tells how far a sync has come. It is safe for concurrent use.
type progress struct {
	kind  string
	began time.Time

	mu    sync.Mutex
	done  float64 // 0 to 1
	keys  int64
	bytes int64

	need, sources int // of a rebuild: see kv.Sync
}

func newProgress(kind string) *progress { return &progress{kind: kind, began: time.Now()} }

// add notes that a part of the work is done, and what it has moved.
func (p *progress) add(done float64, keys, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = min(1, p.done+done)
	p.keys += int64(keys)
	p.bytes += int64(bytes)
}

// restart begins the work anew. What was moved stays counted.
func (p *progress) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = 0
}

// setCopies notes how many full copies a rebuild merges, and how many members have one. It reports
// whether either has changed.
func (p *progress) setCopies(need, sources int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := p.need != need || p.sources != sources
	p.need, p.sources = need, sources
	return news
}

// longest bounds the time that is reported as left.
const longest = 100 * 24 * time.Hour

// sync renders the progress, or nil when there is none. It estimates the time left in proportion to
// the time taken.
func (p *progress) sync(now time.Time) *kv.Sync {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &kv.Sync{Kind: p.kind, Done: p.done, Keys: p.keys, Bytes: p.bytes, Need: p.need, Sources: p.sources}
	if p.done > 0 {
		s.Left = time.Duration(min(float64(now.Sub(p.began))*(1-p.done)/p.done, float64(longest)))
	}
	return s
}

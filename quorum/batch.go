package quorum

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/kv"
	"viakv/ring/keyspace"
)

// maxAsking is how many values of a batch are written at the same time where the replicas have to
// be asked before each.
const maxAsking = 64

// batch is the sets of one call of SetMany.
type batch struct {
	setters []setter        // in the order of the writes
	sets    []*setter       // ordered by the partition of their keys
	at      []keyspace.Hash // of the keys
	done    chan struct{}   // of all of them
}

// SetMany stores values whose keys differ, each by itself, as Set does. It sets the version or the
// error of each. The values share the messages of as few operations as possible, and these run at
// the same time.
func (c *Coordinator) SetMany(_ context.Context, writes []kv.Write, opt kv.Options) {
	c.stats.writes.Add(uint64(len(writes)))
	if opt.Deadline.IsZero() {
		opt.Deadline = time.Now().Add(c.cfg.Timeout)
	}
	if v := c.cfg.Views.Current(); v != nil && c.mayKnow(opt) {
		c.setTogether(writes, opt, v.Seed)
	} else {
		for i := range writes {
			writes[i].Err = errAsk
		}
	}
	c.setEachAsking(writes, opt)
}

// setTogether stores the values for which nobody has to be asked first. The error of the others is
// errAsk.
func (c *Coordinator) setTogether(writes []kv.Write, opt kv.Options, seed keyspace.Seed) {
	b := c.batches.Get().(*batch)
	b.fill(writes, opt.Deadline, seed)
	var operations sync.WaitGroup
	for sets := b.sets; len(sets) > 0; {
		n := fits(sets)
		some := sets[:n]
		if sets = sets[n:]; len(sets) > 0 {
			operations.Go(func() { c.setAll(some, opt) })
		} else {
			c.setAll(some, opt)
		}
	}
	for range writes {
		<-b.done
	}
	operations.Wait()
	for i := range writes {
		writes[i].Version, writes[i].Err = b.setters[i].tag, b.setters[i].err
	}
	clear(b.setters)
	c.batches.Put(b)
}

// fill makes a setter of each write. It orders them by partition, so that each operation has the
// keys of few partitions (replica.Store.Warm). The keys differ, so the order does not matter else.
func (b *batch) fill(writes []kv.Write, deadline time.Time, seed keyspace.Seed) {
	if cap(b.setters) < len(writes) {
		n := max(len(writes), MaxRecords)
		*b = batch{make([]setter, 0, n), make([]*setter, n), make([]keyspace.Hash, n), make(chan struct{}, n)}
	}
	b.setters, b.sets, b.at = b.setters[:len(writes)], b.sets[:len(writes)], b.at[:len(writes)]
	var next [keyspace.Partitions + 1]int // where the next key of a partition comes
	for i := range writes {
		w := &writes[i]
		b.setters[i] = setter{key: w.Key, value: w.Value, deadline: deadline, done: b.done}
		b.at[i] = seed.Hash(w.Key)
		next[b.at[i].Partition()+1]++
	}
	for p := range keyspace.Partitions {
		next[p+1] += next[p]
	}
	for i, h := range b.at {
		n := &next[h.Partition()]
		b.sets[*n] = &b.setters[i]
		*n++
	}
}

// fits returns how many of the first sets one operation takes.
func fits(sets []*setter) (n int) {
	for bytes := 0; n < min(len(sets), MaxRecords) && bytes < maxSetBytes; n++ {
		bytes += len(sets[n].key) + len(sets[n].value)
	}
	return n
}

// setEachAsking stores the values whose error is errAsk: the replicas have to be asked before.
func (c *Coordinator) setEachAsking(writes []kv.Write, opt kv.Options) {
	var next atomic.Int64
	work := func() {
		for i := next.Add(1) - 1; i < int64(len(writes)); i = next.Add(1) - 1 {
			if w := &writes[i]; w.Err == errAsk {
				w.Version, w.Err = c.setAsking(w.Key, w.Value, opt)
			}
		}
	}
	n := 0
	for i := range writes {
		if writes[i].Err == errAsk {
			n++
		}
	}
	var workers sync.WaitGroup
	for range min(n, maxAsking) {
		workers.Go(work)
	}
	workers.Wait()
}

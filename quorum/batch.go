package quorum

import (
	"context"
	"sync"
	"time"

	"viakv/api/kv"
	"viakv/ring/keyspace"
)

const (
	// maxTogether is how many operations of batches run at a time, and maxAsking for how many keys
	// of batches the replicas are asked at a time. Many batches at once then take longer, instead
	// of the time that other requests and the leases need.
	maxTogether = 8
	maxAsking   = 64
)

// batch is the sets of one call of SetMany that are written together.
type batch struct {
	setters []setter        // in the order of the writes
	sets    []*setter       // ordered by the partition of their keys
	at      []keyspace.Hash // of the keys
	done    chan struct{}   // of all of them
}

// SetMany stores values whose keys differ, each by itself, as Set does. It sets the version or the
// error of each. The values share the messages of as few operations as possible, and these run at
// the same time. Without a deadline each operation has the time-out.
//
// A node that was not asked for a while has given its leases back. It waits for them, rather than
// ask for each value. Where it does without, it looks again from time to time.
func (c *Coordinator) SetMany(_ context.Context, writes []kv.Write, opt kv.Options) {
	c.stats.writes.Add(uint64(len(writes)))
	pending := make([]*kv.Write, len(writes))
	for i := range writes {
		pending[i] = &writes[i]
	}
	c.awaitHolder(&opt)
	for len(pending) > 0 {
		if v := c.holder(&opt); v != nil {
			pending = c.setTogether(pending, opt, v.Seed)
		}
		n := min(len(pending), maxAsking)
		c.setAsked(pending[:n], opt)
		pending = pending[n:]
	}
}

// awaitHolder waits until this node answers alone, for as long as it may take to get leases.
func (c *Coordinator) awaitHolder(opt *kv.Options) {
	v := c.cfg.Views.Current()
	if c.holder(opt) == nil && v != nil && v.Leases && opt.R == kv.QuorumDefault && v.R+v.W > v.Slots {
		c.awaitAlone(v, opt.Deadline)
	}
}

// setTogether stores the values for which nobody has to be asked first, and returns the others.
func (c *Coordinator) setTogether(writes []*kv.Write, opt kv.Options, seed keyspace.Seed) (others []*kv.Write) {
	b := c.batches.Get().(*batch)
	b.fill(writes, opt.Deadline, seed)
	var operations sync.WaitGroup
	for sets := b.sets; len(sets) > 0; {
		n := fits(sets)
		some := sets[:n]
		sets = sets[n:]
		operations.Go(func() {
			c.together <- struct{}{}
			c.setAll(some, opt)
			<-c.together
		})
	}
	for range writes {
		<-b.done
	}
	operations.Wait()
	others = writes[:0]
	for i, w := range writes {
		w.Version, w.Err = b.setters[i].tag, b.setters[i].err
		if w.Err == errAsk {
			others = append(others, w)
		}
	}
	clear(b.setters)
	c.batches.Put(b)
	return others
}

// fill makes a setter of each write. It orders them by partition, so that each operation has the
// keys of few partitions (replica.Store.Warm). The keys differ, so the order does not matter else.
func (b *batch) fill(writes []*kv.Write, deadline time.Time, seed keyspace.Seed) {
	if cap(b.setters) < len(writes) {
		n := max(len(writes), MaxRecords)
		*b = batch{make([]setter, 0, n), make([]*setter, n), make([]keyspace.Hash, n), make(chan struct{}, n)}
	}
	b.setters, b.sets, b.at = b.setters[:len(writes)], b.sets[:len(writes)], b.at[:len(writes)]
	var next [keyspace.Partitions + 1]int // where the next key of a partition comes
	for i, w := range writes {
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

// setAsked stores values for which the replicas have to be asked first.
func (c *Coordinator) setAsked(writes []*kv.Write, opt kv.Options) {
	var sets sync.WaitGroup
	for _, w := range writes {
		sets.Go(func() {
			c.asking <- struct{}{}
			w.Version, w.Err = c.setAsking(w.Key, w.Value, opt)
			<-c.asking
		})
	}
	sets.Wait()
}

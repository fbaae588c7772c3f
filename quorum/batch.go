package quorum

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/kv"
)

// maxAsking is how many values of a batch are written at the same time where the replicas have to
// be asked before each.
const maxAsking = 64

// batch is the sets of one operation that were given together.
type batch struct {
	setters []setter
	sets    []*setter
	done    chan struct{} // of all of them
}

func newBatch() *batch {
	return &batch{setters: make([]setter, 0, MaxRecords), sets: make([]*setter, 0, MaxRecords), done: make(chan struct{}, MaxRecords)}
}

// SetMany stores values whose keys differ, each by itself, as Set does. It sets the version or the
// error of each. The values share the messages of as few operations as possible, and these run at
// the same time.
func (c *Coordinator) SetMany(_ context.Context, writes []kv.Write, opt kv.Options) {
	c.stats.writes.Add(uint64(len(writes)))
	if opt.Deadline.IsZero() {
		opt.Deadline = time.Now().Add(c.cfg.Timeout)
	}
	if !c.mayKnow(opt) {
		for i := range writes {
			writes[i].Err = errAsk
		}
		c.setEachAsking(writes, opt)
		return
	}
	var parts sync.WaitGroup
	for len(writes) > 0 {
		n := fits(writes)
		part := writes[:n]
		writes = writes[n:]
		if len(writes) == 0 {
			c.setPart(part, opt)
		} else {
			parts.Go(func() { c.setPart(part, opt) })
		}
	}
	parts.Wait()
}

// fits returns how many of the first writes one operation takes.
func fits(writes []kv.Write) (n int) {
	for bytes := 0; n < min(len(writes), MaxRecords) && bytes < maxSetBytes; n++ {
		bytes += len(writes[n].Key) + len(writes[n].Value)
	}
	return n
}

// setPart stores as many values as one operation takes.
func (c *Coordinator) setPart(writes []kv.Write, opt kv.Options) {
	b := c.batches.Get().(*batch)
	for i := range writes {
		b.setters = append(b.setters, setter{key: writes[i].Key, value: writes[i].Value, deadline: opt.Deadline, done: b.done})
		b.sets = append(b.sets, &b.setters[i])
	}
	c.setAll(b.sets, opt)
	for range writes {
		<-b.done
	}
	ask := false
	for i := range writes {
		writes[i].Version, writes[i].Err = b.setters[i].tag, b.setters[i].err
		ask = ask || writes[i].Err == errAsk
	}
	clear(b.setters)
	clear(b.sets)
	b.setters, b.sets = b.setters[:0], b.sets[:0]
	c.batches.Put(b)
	if ask {
		c.setEachAsking(writes, opt)
	}
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
	var workers sync.WaitGroup
	for range min(len(writes), maxAsking) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
}

package quorum

import (
	"context"
	"slices"
	"sync"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// GetMany looks up keys, each by itself, as Get does. Where this node answers alone, their waits
// for memory overlap (replica.Store.Warm). The others are looked up by single gets, maxAsking at a
// time. Without a deadline each of these has the time-out.
//
// Leases that are late on a busy node come soon, and to ask for each key meanwhile would keep the
// node busy. So GetMany waits for them once, where there are more than a few keys.
func (c *Coordinator) GetMany(ctx context.Context, dst []byte, reads []kv.Read, opt kv.Options) []byte {
	asked, waited := 0, len(reads) <= replica.MaxWarm
	for some := range slices.Chunk(reads, replica.MaxWarm) {
		if !waited && c.holder(&opt) == nil {
			waited = true
			half := opt // so that there is time left to ask
			if !opt.Deadline.IsZero() {
				half.Deadline = opt.Deadline.Add(-time.Until(opt.Deadline) / 2)
			}
			c.awaitHolder(&half)
		}
		var n int
		dst, n = c.manyAlone(dst, some, &opt)
		asked += n
	}
	if asked > 0 {
		c.getAsked(ctx, reads, opt)
	}
	return dst
}

// manyAlone looks up to replica.MaxWarm keys up in this node's own copy, if that answers for all
// (L3). It sets errAsk where the replicas have to be asked, and returns for how many keys.
func (c *Coordinator) manyAlone(dst []byte, reads []kv.Read, opt *kv.Options) (grown []byte, asked int) {
	v := c.holder(opt)
	if v == nil {
		for i := range reads {
			reads[i].Err = errAsk
		}
		return dst, len(reads)
	}
	hashes := c.hashes.Get().(*[replica.MaxWarm]keyspace.Hash)
	defer c.hashes.Put(hashes)
	for i := range reads {
		hashes[i] = v.Seed.Hash(reads[i].Key)
	}
	v.Store.Warm(v.Epoch, hashes[:len(reads)])
	for i := range reads {
		r := &reads[i]
		rec, out, err := v.Store.Get(v.Epoch, hashes[i], r.Key, dst)
		if err != nil || !v.Confirmed(&rec) {
			r.Err = errAsk
			asked++
			continue
		}
		r.Value, r.Version, r.Err = nil, rec.Tag, kv.ErrMissing
		if rec.Live() {
			begin := len(dst)
			dst = append(out[:begin], rec.Value...)
			r.Value, r.Err = dst[begin:len(dst):len(dst)], nil
		}
	}
	c.stats.local.Add(uint64(len(reads) - asked))
	return dst, asked
}

// getAsked looks up the keys for which the replicas have to be asked.
func (c *Coordinator) getAsked(ctx context.Context, reads []kv.Read, opt kv.Options) {
	var gets sync.WaitGroup
	for i := range reads {
		if r := &reads[i]; r.Err == errAsk {
			c.asking <- struct{}{}
			gets.Go(func() {
				r.Value, r.Version, r.Err = c.Get(ctx, nil, r.Key, opt)
				<-c.asking
			})
		}
	}
	gets.Wait()
}

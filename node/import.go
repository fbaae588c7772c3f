package node

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/node/peer"
	"viakv/quorum"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// importsInFlight is how many keys are imported at a time.
const importsInFlight = 32

// importOwn writes the keys of a standalone node into the mesh that it has joined. Each is written
// as a write concurrent with all versions of the key that are there. A key whose import fails is
// tried again with the same record until ctx ends: no acknowledged value is dropped while the node
// runs.
func (n *Node) importOwn(ctx context.Context, from, to *membership) error {
	c := quorum.New(quorum.Config{Views: to, Peers: n.client, Hints: to.driver, Timeout: n.cfg.Timeout, HedgeAfter: n.cfg.HedgeAfter})
	type item struct {
		key, value []byte
		counter    uint64
	}
	items := make(chan item, importsInFlight)
	var workers sync.WaitGroup
	var count, lost atomic.Int64
	// The workers repeat each import until it succeeds, or until ctx ends.
	for range importsInFlight {
		workers.Go(func() {
			for i := range items {
				for {
					won, err := c.Import(ctx, i.key, i.value, i.counter, kv.Options{})
					if err == nil {
						count.Add(1)
						if !won {
							lost.Add(1)
						}
						break
					}
					if !sleep.For(ctx, 100*time.Millisecond) {
						return
					}
				}
			}
		})
	}
	// A walk through the own store gives the workers all live records.
	err := from.each(ctx, func(key []byte, r *version.Record) bool {
		if !r.Live() {
			return true
		}
		select {
		case items <- item{bytes.Clone(key), bytes.Clone(r.Value), r.Tag.Counter}:
			return true
		case <-ctx.Done():
			return false
		}
	})
	close(items)
	workers.Wait()
	if err = errors.Join(err, ctx.Err()); err != nil {
		return &kv.Unavailable{Outcome: kv.Unknown, Reason: "the node was stopped before all of its own keys were in the mesh", Err: err}
	}
	to.imported.Close()
	if count.Load() > 0 {
		n.log.Info("the node has imported its own keys into the mesh", zap.Int64("keys", count.Load()), zap.Int64("overruled by the mesh", lost.Load()))
	}
	return nil
}

// each visits all records of the membership's store, in the order of ranks. Epochs that begin
// meanwhile do not stop it, nor does the end of the membership.
func (m *membership) each(ctx context.Context, visit func(key []byte, r *version.Record) bool) error {
	for at := (keyspace.Place{}); ; {
		s := m.state.Load()
		epoch := s.View.Epoch
		if m.peerSide.Sealed() {
			epoch = peer.SealedEpoch
		}
		next, err := s.Store.Walk(epoch, keyspace.Range{From: at.Rank}, at.Key, func(e replica.Entry) bool {
			return ctx.Err() == nil && visit(e.Key, &e.Record)
		})
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		at = next
		sleep.For(ctx, time.Millisecond)
	}
}

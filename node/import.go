package node

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/peer"
	"viakv/quorum"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// viewsOf lets a coordinator work in a life that is not the node's yet.
type viewsOf struct{ *membership }

func (v viewsOf) Current() *replica.View { return v.view() }

// importsInFlight is how many keys are brought along at a time.
const importsInFlight = 32

// importOwn writes the keys that the node held alone into the mesh that it joined, each as a write
// concurrent with all that are there. A key whose import fails is tried again with the same record,
// for as long as the node runs: nothing that was acknowledged is dropped.
func (n *Node) importOwn(ctx context.Context, from, to *membership) error {
	c := quorum.New(quorum.Config{Views: viewsOf{to}, Peers: n.client, Hints: hintsOf{to}, Timeout: n.cfg.Timeout, HedgeAfter: n.cfg.HedgeAfter})
	type item struct {
		key, value []byte
		counter    uint64
	}
	items := make(chan item, importsInFlight)
	var workers sync.WaitGroup
	var count, lost atomic.Int64
	for range importsInFlight {
		workers.Add(1)
		go func() {
			defer workers.Done()
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
					if !pause(ctx, 100*time.Millisecond) {
						return
					}
				}
			}
		}()
	}
	err := from.each(ctx, func(key []byte, r *version.Record) bool {
		if !r.Live() {
			return true
		}
		select {
		case items <- item{append([]byte(nil), key...), append([]byte(nil), r.Value...), r.Tag.Counter}:
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
	if count.Load() > 0 {
		n.log.Info("brought the node's own keys along", zap.Int64("keys", count.Load()), zap.Int64("overruled by the mesh", lost.Load()))
	}
	return nil
}

// each visits all records of the life's store, in the order of ranks, through whatever epochs begin
// meanwhile.
func (m *membership) each(ctx context.Context, visit func(key []byte, r *version.Record) bool) error {
	for at := (keyspace.Place{}); ; {
		s := m.state.Load()
		epoch := s.View.Epoch
		if m.peers.Sealed() {
			epoch = peer.SealedEpoch
		}
		next, err := s.Store.Walk(epoch, keyspace.Range{From: at.Rank}, at.Key, func(e replica.Entry) bool {
			return ctx.Err() == nil && visit(e.Key, &e.Record)
		})
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		at = next
		pause(ctx, time.Millisecond)
	}
}

// pause waits; false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

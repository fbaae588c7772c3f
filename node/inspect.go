package node

import (
	"context"

	"viakv/api/kv"
	"viakv/node/peer"
	"viakv/ring/keyspace"
)

// This file shows operators what each member holds.

// Placement implements kv.Inspector.
func (n *Node) Placement() kv.Placement {
	s := n.present.Load().state.Load()
	if s == nil {
		return kv.Placement{}
	}
	out := kv.Placement{Epoch: s.View.Epoch, Members: s.View.Ring.Members(), Owners: make([]int, keyspace.Partitions)}
	for p := range out.Owners {
		out.Owners[p] = s.View.Ring.Owner(keyspace.Partition(p))
	}
	return out
}

// Holdings implements kv.Inspector.
func (n *Node) Holdings(ctx context.Context) []kv.Holding {
	n.inflight.Add(1) // keeps the store from being closed meanwhile
	defer n.inflight.Add(-1)
	v := n.Current()
	if v == nil {
		return nil
	}
	out := make([]kv.Holding, len(v.Members))
	e := peer.Of(v)
	e.Each(func(m int) {
		digest, err := e.Holding(ctx, m)
		out[m] = kv.Holding{Member: v.Members[m].Name, Err: err}
		if err != nil {
			return
		}
		out[m].Tombstones, out[m].Keys = digest.Tombstones, digest.Records-digest.Tombstones
		out[m].Digest = showSums(digest, v.CursorKey)
	})
	return out
}

// Copies implements kv.Inspector.
func (n *Node) Copies(ctx context.Context, key []byte) kv.KeyCopies {
	n.inflight.Add(1)
	defer n.inflight.Add(-1)
	out := kv.KeyCopies{Key: string(key)}
	v := n.Current()
	if v == nil {
		return out
	}
	p := v.Seed.Hash(key).Partition()
	out.Partition, out.Epoch = int(p), v.Epoch
	copies := make([]kv.Copy, len(v.Members))
	e := peer.Of(v)
	e.Each(func(m int) {
		record, err := e.Record(ctx, m, key)
		copies[m] = kv.Copy{Member: v.Members[m].Name, Err: err, Record: record}
	})
	// The preference list names slots. A member that is joining has no slot yet and comes last.
	names := v.Ring.Members()
	placed := make(map[string]bool, len(names))
	for _, i := range v.Ring.Preference(p) {
		for m := range copies {
			if copies[m].Member == names[i] {
				out.Copies = append(out.Copies, copies[m])
				placed[names[i]] = true
			}
		}
	}
	for m := range copies {
		if !placed[copies[m].Member] {
			out.Copies = append(out.Copies, copies[m])
		}
	}
	return out
}

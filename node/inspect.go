package node

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"viakv/api/kv"
	"viakv/node/peer"
	"viakv/node/topology"
	"viakv/quorum/replica"
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

// shownBytes is how many bytes of a digest's keyed hash are shown.
const shownBytes = 8

// showDigest renders a digest for people. Equal digests are rendered alike. The sums themselves
// stay secret: a fast function that does not hide keys makes them from the hashes of the keys.
func showDigest(d replica.Digest, secret topology.Secret) string {
	return fmt.Sprintf("%d records (%d tombstones) %s", d.Records, d.Tombstones, showSums(d, secret))
}

// showSums renders a digest without its counts, as a keyed hash.
func showSums(d replica.Digest, secret topology.Secret) string {
	key, err := hkdf.Expand(sha256.New, secret[:], "viakv shown digest", sha256.Size)
	if err != nil {
		panic("node: " + err.Error()) // cannot happen: the length is a constant that HKDF allows
	}
	h := hmac.New(sha256.New, key)
	h.Write(d.Append(nil))
	return hex.EncodeToString(h.Sum(nil)[:shownBytes])
}

package node

import (
	"cmp"
	"slices"
	"sync"

	"viakv/handoff"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// purges keeps the last purges that a membership has carried out. A write that was under way during
// a purge looks up here whether the purge removed a tombstone of its key (D2).
type purges struct {
	mu   sync.Mutex
	kept []*purge // ascending by sequence
}

// keptPurges is how many purges are kept. Two purges are seconds apart, and a write is under way
// for no longer than that.
const keptPurges = 2

// purge holds the tombstones that one purge has removed.
type purge struct {
	sequence uint64
	removed  []purgedTombstone
	sorted   sync.Once // sorts removed by hash on first use; most purges are never looked up
}

// purgedTombstone names a tombstone by the hash of its key. If two keys share a hash, a write of
// one may find the tombstone of the other. The outcome of that write is then unknown.
type purgedTombstone struct {
	hash keyspace.Hash
	tag  version.Tag
}

// note keeps the tombstones that a purge removes.
func (p *purges) note(sequence uint64, seed keyspace.Seed, list *handoff.List) {
	n := &purge{sequence: sequence, removed: make([]purgedTombstone, len(list.Tombstones))}
	for i := range list.Tombstones {
		t := &list.Tombstones[i]
		n.removed[i] = purgedTombstone{seed.Hash(t.Key), t.Tag}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) == keptPurges {
		p.kept = slices.Delete(p.kept, 0, 1)
	}
	p.kept = append(p.kept, n)
}

// highest returns the highest tag that the purges in (after, last] have removed at a hash, zero if
// they have removed none. known is false when one of these purges is not kept.
func (p *purges) highest(after, last uint64, h keyspace.Hash) (tag version.Tag, known bool) {
	for sequence := after + 1; sequence <= last; sequence++ {
		n := p.find(sequence)
		if n == nil {
			return tag, false
		}
		if t := n.at(h); tag.Less(t) {
			tag = t
		}
	}
	return tag, true
}

func (p *purges) find(sequence uint64) *purge {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.kept {
		if n.sequence == sequence {
			return n
		}
	}
	return nil
}

// at returns the highest tag that the purge removed at a hash.
func (p *purge) at(h keyspace.Hash) (tag version.Tag) {
	p.sorted.Do(func() {
		slices.SortFunc(p.removed, func(a, b purgedTombstone) int { return cmp.Or(cmp.Compare(a.hash, b.hash), a.tag.Compare(b.tag)) })
	})
	i, _ := slices.BinarySearchFunc(p.removed, h, func(t purgedTombstone, h keyspace.Hash) int { return cmp.Compare(t.hash, h) })
	for ; i < len(p.removed) && p.removed[i].hash == h; i++ {
		tag = p.removed[i].tag // the tags of one hash ascend
	}
	return tag
}

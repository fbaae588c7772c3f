package node

import (
	"cmp"
	"slices"
	"sync"

	"viakv/handoff"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// purges are the last purges that a life has carried out. A write that was under way when one came
// looks there whether anything of its key was removed (D2).
type purges struct {
	mu   sync.Mutex
	kept []*purge // ascending by sequence
}

// keptPurges is how many purges are kept. Two of them are seconds apart, which is as long as a
// write is under way at most.
const keptPurges = 2

// purge is what one purge has removed.
type purge struct {
	sequence uint64
	removed  []purgedTombstone
	sorted   sync.Once // by hash; most purges are never asked about
}

// purgedTombstone names a tombstone by the hash of its key. Where two keys share a hash, a write of
// the one may be taken for one of the other, and its outcome be unknown.
type purgedTombstone struct {
	hash keyspace.Hash
	tag  version.Tag
}

// note keeps what a purge removes.
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

// highest returns the highest tag that the purges in (after, last] have removed at a hash, zero
// where they have removed none; false: one of them is not kept.
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
		tag = p.removed[i].tag // ascending
	}
	return tag
}

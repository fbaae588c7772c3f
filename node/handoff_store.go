package node

import (
	"bytes"
	"sync"

	"viakv/handoff"
	"viakv/node/storage"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// handoffStore is a life's store, which refuses what is stamped with any epoch but its own (H1).
// Package handoff calls it from the first epoch on.
type handoffStore struct{ *life }

func (s handoffStore) store() *storage.Store { return s.state.Load().store }

// moved makes the store's errors package handoff's: what it refuses belongs to another epoch.
func moved(err error) error {
	if err != nil {
		return replica.ErrEpoch
	}
	return nil
}

func (s handoffStore) Put(at version.Epoch, h keyspace.Hash, key []byte, r *version.Record) (bool, error) {
	changed, err := s.store().Put(at, h, key, r)
	return changed, moved(err)
}

func (s handoffStore) Get(at version.Epoch, h keyspace.Hash, key, dst []byte) (version.Record, []byte, error) {
	r, dst, err := s.store().Get(at, h, key, dst)
	return r, dst, moved(err)
}

func (s handoffStore) Digest(at version.Epoch, r keyspace.Range) (replica.Digest, error) {
	d, err := s.store().Digest(at, r)
	return d, moved(err)
}

func (s handoffStore) Page(at version.Epoch, r keyspace.Range, after []byte, max int, p *replica.Page) error {
	p.Reset()
	next, err := walk(s.store(), at, r, after, func(e replica.Entry) bool {
		p.Arena = append(p.Arena, e.Key...)
		p.Arena = append(p.Arena, e.Record.Value...)
		p.Arena = append(p.Arena, e.Record.Vector...)
		p.Entries = append(p.Entries, replica.Entry{Rank: e.Rank, Key: e.Key, Record: e.Record})
		return len(p.Arena) < max
	})
	// The entries borrow the walk's buffer: point them at the arena, now that it has its final
	// place.
	rest := p.Arena
	take := func(n int) []byte {
		b := rest[:n:n]
		rest = rest[n:]
		return b
	}
	for i := range p.Entries {
		it := &p.Entries[i]
		it.Key = take(len(it.Key))
		value := take(len(it.Record.Value))
		if it.Record.Live() {
			it.Record.Value = value
		}
		it.Record.Vector = version.Vector(take(len(it.Record.Vector)))
	}
	p.Next = next
	return moved(err)
}

func (s handoffStore) Tombstones(at version.Epoch, from keyspace.Place, max int, dst []replica.Tombstone) ([]replica.Tombstone, keyspace.Place, error) {
	size := 0
	for i := range dst {
		size += dst[i].Size()
	}
	more := func() bool { return len(dst) < max && size < handoff.MaxListBytes }
	if !more() {
		return dst, from, nil
	}
	next, err := walk(s.store(), at, keyspace.Range{From: from.Rank}, from.Key, func(e replica.Entry) bool {
		if e.Record.Tag.Removed {
			dst = append(dst, replica.Tombstone{Key: append([]byte(nil), e.Key...), Tag: e.Record.Tag})
			size += dst[len(dst)-1].Size()
		}
		return more()
	})
	return dst, next, moved(err)
}

func (s handoffStore) Check(at keyspace.Rank) (keyspace.Rank, error) {
	r, err := s.store().Check(at)
	return r.To, err
}

// buckets are the copies that walks work on.
var buckets = sync.Pool{New: func() any { return new(storage.Bucket) }}

// walk visits a range's entries behind a key at its first rank, in ascending order of rank and key,
// until visit has had enough. It returns where to go on: within a rank only if that has more, and
// the range's end when nothing is left. The only error is the store's, once the epoch is over.
func walk(store *storage.Store, at version.Epoch, r keyspace.Range, after []byte, visit func(replica.Entry) bool) (keyspace.Place, error) {
	b := buckets.Get().(*storage.Bucket)
	defer buckets.Put(b)
	begin, end := keyspace.Place{Rank: r.From, Key: after}, keyspace.Place{Rank: r.To}
	for rank := r.From; ; {
		if err := store.Copy(at, rank, b); err != nil {
			if rank > r.From {
				begin = keyspace.Place{Rank: rank}
			}
			return begin, err
		}
		b.Sort()
		enough, last := false, keyspace.Place{}
		for e := range b.Records {
			switch {
			case e.Rank < rank || begin.Passed(e.Rank, e.Key):
				continue
			case !r.Contains(e.Rank):
				return end, nil
			case enough && e.Rank != last.Rank:
				return keyspace.Place{Rank: e.Rank}, nil
			case enough:
				return keyspace.Place{Rank: last.Rank, Key: bytes.Clone(last.Key)}, nil
			}
			last = keyspace.Place{Rank: e.Rank, Key: e.Key}
			enough = !visit(e)
		}
		rank = b.Range.To
		if rank == 0 || r.To != 0 && rank >= r.To {
			return end, nil
		}
		if enough {
			return keyspace.Place{Rank: rank}, nil
		}
	}
}

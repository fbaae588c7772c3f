package storage

import (
	"bytes"
	"sync"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

var _ replica.Store = (*Store)(nil)

// buckets holds the copies that walks work on.
var buckets = sync.Pool{New: func() any { return new(Bucket) }}

// Walk visits the entries of a range in ascending order of rank and key, until visit returns false.
// At the range's first rank it begins behind the key after. It returns the place to go on at: the
// range's end when nothing is left, and a place within a rank only if that rank has more entries.
// An entry borrows the memory of the walk until visit returns. Once the epoch is over, the error is
// replica.ErrEpoch, and the place is where the walk had come to.
func (s *Store) Walk(epoch version.Epoch, r keyspace.Range, after []byte, visit func(replica.Entry) bool) (keyspace.Place, error) {
	return s.walk(epoch, r, after, false, visit)
}

// walk is Walk. With tombstones it may leave out entries that hold a value.
func (s *Store) walk(epoch version.Epoch, r keyspace.Range, after []byte, tombstones bool, visit func(replica.Entry) bool) (keyspace.Place, error) {
	b := buckets.Get().(*Bucket)
	defer buckets.Put(b)
	begin, end := keyspace.Place{Rank: r.From, Key: after}, keyspace.Place{Rank: r.To}
	for rank := r.From; ; {
		if err := s.copy(epoch, rank, b, tombstones); err != nil {
			if rank > r.From {
				begin = keyspace.Place{Rank: rank}
			}
			return begin, err
		}
		enough, last := false, keyspace.Place{}
		for e := range b.entries {
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

// Page implements replica.Store.
func (s *Store) Page(epoch version.Epoch, r keyspace.Range, after []byte, max int, p *replica.Page) error {
	p.Reset()
	next, err := s.Walk(epoch, r, after, func(e replica.Entry) bool {
		p.Arena = append(p.Arena, e.Key...)
		p.Arena = append(p.Arena, e.Record.Value...)
		p.Arena = append(p.Arena, e.Record.Vector...)
		p.Entries = append(p.Entries, replica.Entry{Rank: e.Rank, Key: e.Key, Record: e.Record})
		return len(p.Arena) < max
	})
	// The entries borrow the walk's buffer. Point them at the arena, now that it no longer moves.
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
	return err
}

// Tombstones implements replica.Store.
func (s *Store) Tombstones(epoch version.Epoch, from keyspace.Place, max int, dst []replica.Tombstone) ([]replica.Tombstone, keyspace.Place, error) {
	size := 0
	for i := range dst {
		size += dst[i].Size()
	}
	more := func() bool { return len(dst) < max && size < replica.MaxListBytes }
	if !more() {
		return dst, from, nil
	}
	next, err := s.walk(epoch, keyspace.Range{From: from.Rank}, from.Key, true, func(e replica.Entry) bool {
		if e.Record.Tag.Removed {
			dst = append(dst, replica.Tombstone{Key: bytes.Clone(e.Key), Tag: e.Record.Tag})
			size += dst[len(dst)-1].Size()
		}
		return more()
	})
	return dst, next, err
}

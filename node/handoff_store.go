package node

import (
	"bytes"
	"encoding/binary"
	"sync"

	"viakv/handoff"
	"viakv/node/storage"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// handoffStore is a life's store at an epoch. Reads are not stamped below; so each read checks afterwards that no later epoch had
// begun when it was done (H1): Adopt sets fencing before it touches the store.
type handoffStore struct{ *life }

func (s handoffStore) at(e version.Epoch) (*storage.Store, error) {
	st := s.state.Load()
	if st == nil || st.view.Epoch != e || s.fencing.Load() != uint64(e) {
		return nil, handoff.ErrMoved
	}
	return st.store, nil
}

func (s handoffStore) still(e version.Epoch) error {
	if s.fencing.Load() != uint64(e) {
		return handoff.ErrMoved
	}
	return nil
}

func (s handoffStore) Put(at version.Epoch, h keyspace.Hash, key []byte, r *version.Record) (bool, error) {
	store, err := s.at(at)
	if err != nil {
		return false, err
	}
	changed, err := store.Put(at, h, key, r)
	if err != nil {
		return false, handoff.ErrMoved
	}
	return changed, nil
}

func (s handoffStore) Get(at version.Epoch, h keyspace.Hash, key, dst []byte) (version.Record, []byte, error) {
	store, err := s.at(at)
	if err != nil {
		return version.Record{}, dst, err
	}
	r, dst, err := store.Get(at, h, key, dst)
	if err != nil {
		err = handoff.ErrMoved
	}
	return r, dst, err
}

func (s handoffStore) Digest(at version.Epoch, r keyspace.Range) (handoff.Digest, int, error) {
	store, err := s.at(at)
	if err != nil {
		return handoff.Digest{}, 0, err
	}
	d := store.Digest(r)
	return encodeDigest(d), int(d.Records), s.still(at)
}

// encodeDigest is a digest as it travels.
func encodeDigest(d storage.Digest) (out [32]byte) {
	binary.LittleEndian.PutUint64(out[0:], d.Records)
	binary.LittleEndian.PutUint64(out[8:], d.Tombstones)
	binary.LittleEndian.PutUint64(out[16:], d.Sum[0])
	binary.LittleEndian.PutUint64(out[24:], d.Sum[1])
	return out
}

func (s handoffStore) Page(at version.Epoch, r keyspace.Range, after []byte, max int, p *handoff.Page) error {
	store, err := s.at(at)
	if err != nil {
		return err
	}
	p.Reset()
	p.Next = walk(store, r, after, func(e storage.Entry) bool {
		p.Arena = append(p.Arena, e.Key...)
		p.Arena = append(p.Arena, e.Record.Value...)
		p.Arena = append(p.Arena, e.Record.Vector...)
		p.Items = append(p.Items, handoff.Item{Rank: e.Rank, Key: e.Key, Record: e.Record})
		return len(p.Arena) < max
	})
	// The entries borrow the walk's buffer: point them at the arena, now that it has its final place.
	rest := p.Arena
	take := func(n int) []byte {
		b := rest[:n:n]
		rest = rest[n:]
		return b
	}
	for i := range p.Items {
		it := &p.Items[i]
		it.Key = take(len(it.Key))
		value := take(len(it.Record.Value))
		if it.Record.Live() {
			it.Record.Value = value
		}
		it.Record.Vector = version.Vector(take(len(it.Record.Vector)))
	}
	return s.still(at)
}

func (s handoffStore) Tombstones(at version.Epoch, from keyspace.Place, max int, dst []handoff.Tombstone) ([]handoff.Tombstone, keyspace.Place, error) {
	store, err := s.at(at)
	if err != nil {
		return dst, keyspace.Place{}, err
	}
	size := 0
	for i := range dst {
		size += dst[i].Size()
	}
	more := func() bool { return len(dst) < max && size < handoff.MaxListBytes }
	if !more() {
		return dst, from, nil
	}
	next := walk(store, keyspace.Range{From: from.Rank}, from.Key, func(e storage.Entry) bool {
		if e.Record.Tag.Removed {
			dst = append(dst, handoff.Tombstone{Key: append([]byte(nil), e.Key...), Tag: e.Record.Tag})
			size += dst[len(dst)-1].Size()
		}
		return more()
	})
	return dst, next, s.still(at)
}

func (s handoffStore) Check(at keyspace.Rank) (keyspace.Rank, error) {
	r, err := s.state.Load().store.Check(at)
	return r.To, err
}

// buckets are the copies that walks work on.
var buckets = sync.Pool{New: func() any { return new(storage.Bucket) }}

// walk visits a range's entries behind a key at its first rank, in ascending order of rank and key,
// until visit has had enough. It returns where to go on: within a rank only if that has more, and
// the range's end when nothing is left.
func walk(store *storage.Store, r keyspace.Range, after []byte, visit func(storage.Entry) bool) keyspace.Place {
	b := buckets.Get().(*storage.Bucket)
	defer buckets.Put(b)
	begin, end := keyspace.Place{Rank: r.From, Key: after}, keyspace.Place{Rank: r.To}
	for at := r.From; ; {
		store.Copy(at, b)
		b.Sort()
		enough, last := false, keyspace.Place{}
		for e := range b.Records {
			switch {
			case e.Rank < at || begin.Passed(e.Rank, e.Key):
				continue
			case !r.Contains(e.Rank):
				return end
			case enough && e.Rank != last.Rank:
				return keyspace.Place{Rank: e.Rank}
			case enough:
				return keyspace.Place{Rank: last.Rank, Key: bytes.Clone(last.Key)}
			}
			last = keyspace.Place{Rank: e.Rank, Key: e.Key}
			enough = !visit(e)
		}
		at = b.Range.To
		if at == 0 || r.To != 0 && at >= r.To {
			return end
		}
		if enough {
			return keyspace.Place{Rank: at}
		}
	}
}

package handoff

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// fakeStore is a store of the dumbest kind: a map, sorted when somebody wants order.
type fakeStore struct {
	mu      sync.Mutex
	epoch   version.Epoch
	records map[string]version.Record
	sorted  []Item
	drift   error
	checks  []keyspace.Rank
}

func newFakeStore(at version.Epoch) *fakeStore {
	return &fakeStore{epoch: at, records: map[string]version.Record{}}
}

func (s *fakeStore) at(e version.Epoch) error {
	if s.epoch != e {
		return ErrMoved
	}
	return nil
}

func (s *fakeStore) Put(e version.Epoch, _ keyspace.Hash, key []byte, r *version.Record) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.at(e); err != nil {
		return false, err
	}
	return s.mergeLocked(string(key), *r), nil
}

func (s *fakeStore) mergeLocked(key string, r version.Record) bool {
	old := s.records[key]
	now := version.Merge(old, r)
	if now.Tag == old.Tag && now.Owner == old.Owner {
		return false
	}
	s.records[key] = now.Clone()
	s.sorted = nil
	return true
}

// set writes at whatever epoch the store is.
func (s *fakeStore) set(key string, r version.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mergeLocked(key, r)
}

func (s *fakeStore) get(key string) version.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[key]
}

func (s *fakeStore) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

func (s *fakeStore) Get(e version.Epoch, _ keyspace.Hash, key, dst []byte) (version.Record, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.at(e); err != nil {
		return version.Record{}, dst, err
	}
	r := s.records[string(key)]
	n := len(dst)
	dst = append(dst, r.Value...)
	r.Value = dst[n:]
	return r, dst, nil
}

// rangeLocked returns the items of a range, ascending by rank and key.
func (s *fakeStore) rangeLocked(r keyspace.Range) []Item {
	if s.sorted == nil {
		s.sorted = make([]Item, 0, len(s.records))
		for k, v := range s.records {
			s.sorted = append(s.sorted, Item{seed.Hash([]byte(k)).Rank(), []byte(k), v})
		}
		slices.SortFunc(s.sorted, func(a, b Item) int {
			return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(string(a.Key), string(b.Key)))
		})
	}
	byRank := func(i Item, r keyspace.Rank) int { return cmp.Compare(i.Rank, r) }
	from, _ := slices.BinarySearchFunc(s.sorted, r.From, byRank)
	to := len(s.sorted)
	if r.To != 0 {
		to, _ = slices.BinarySearchFunc(s.sorted, r.To, byRank)
	}
	return s.sorted[from:to]
}

func (s *fakeStore) Digest(e version.Epoch, r keyspace.Range) (d Digest, n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.at(e); err != nil {
		return d, 0, err
	}
	var sum uint64
	for _, i := range s.rangeLocked(r) {
		sum += maphash.String(digestSeed, fmt.Sprint(string(i.Key), i.Record.Tag, i.Record.Owner))
		n++
	}
	binary.LittleEndian.PutUint64(d[:], sum)
	return d, n, nil
}

func (s *fakeStore) Page(e version.Epoch, r keyspace.Range, max int, p *Page) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.at(e); err != nil {
		return err
	}
	p.Reset()
	p.Next = r.To
	size := 0
	for _, i := range s.rangeLocked(r) {
		if size >= max && p.Items[len(p.Items)-1].Rank != i.Rank {
			p.Next = i.Rank
			break
		}
		size += i.size()
		p.Items = append(p.Items, Item{i.Rank, slices.Clone(i.Key), i.Record.Clone()})
	}
	return nil
}

func (s *fakeStore) Tombstones(e version.Epoch, from keyspace.Rank, max int, dst []Tombstone) ([]Tombstone, keyspace.Rank, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.at(e); err != nil {
		return dst, 0, err
	}
	for _, i := range s.rangeLocked(keyspace.Range{From: from}) {
		if !i.Record.Tag.Removed {
			continue
		}
		if len(dst) >= max {
			return dst, i.Rank, nil
		}
		dst = append(dst, Tombstone{slices.Clone(i.Key), i.Record.Tag})
	}
	return dst, 0, nil
}

func (s *fakeStore) Check(at keyspace.Rank) (keyspace.Rank, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, at)
	return at + 1<<60, s.drift
}

// remove takes out exactly this version.
func (s *fakeStore) remove(t Tombstone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records[string(t.Key)].Tag == t.Tag {
		delete(s.records, string(t.Key))
		s.sorted = nil
	}
}

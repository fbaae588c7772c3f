package handoff

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// sharing begins the keys that all share one rank: that of this prefix.
const sharing = "shared#"

// rankOf is a key's place in the fakes' order.
func rankOf(key []byte) keyspace.Rank {
	if bytes.HasPrefix(key, []byte(sharing)) {
		key = key[:len(sharing)]
	}
	return seed.Hash(key).Rank()
}

// fakeStore is a store of the dumbest kind: a map, sorted when somebody wants order.
type fakeStore struct {
	mu      sync.Mutex
	epoch   version.Epoch
	records map[string]version.Record
	sorted  []replica.Entry // nil: it is to be made anew
	sums    []uint64        // of the sorted entries up to each
	drift   error
	checks  []keyspace.Rank
}

func newFakeStore(at version.Epoch) *fakeStore {
	return &fakeStore{epoch: at, records: map[string]version.Record{}}
}

func (s *fakeStore) at(e version.Epoch) error {
	if s.epoch != e {
		return replica.ErrEpoch
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

// rangeLocked returns the entries of a range, ascending by rank and key.
func (s *fakeStore) rangeLocked(r keyspace.Range) []replica.Entry {
	if s.sorted == nil {
		s.sorted = make([]replica.Entry, 0, len(s.records))
		for k, v := range s.records {
			s.sorted = append(s.sorted, replica.Entry{Rank: rankOf([]byte(k)), Key: []byte(k), Record: v})
		}
		slices.SortFunc(s.sorted, func(a, b replica.Entry) int {
			return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(string(a.Key), string(b.Key)))
		})
		s.sums = make([]uint64, len(s.sorted)+1)
		for n, i := range s.sorted {
			s.sums[n+1] = s.sums[n] + maphash.String(digestSeed, fmt.Sprint(string(i.Key), i.Record.Tag, i.Record.Owner))
		}
	}
	from, to := s.boundsLocked(r)
	return s.sorted[from:to]
}

// boundsLocked returns where a range's entries lie among the sorted ones.
func (s *fakeStore) boundsLocked(r keyspace.Range) (from, to int) {
	byRank := func(i replica.Entry, r keyspace.Rank) int { return cmp.Compare(i.Rank, r) }
	from, _ = slices.BinarySearchFunc(s.sorted, r.From, byRank)
	to = len(s.sorted)
	if r.To != 0 {
		to, _ = slices.BinarySearchFunc(s.sorted, r.To, byRank)
	}
	return from, to
}

func (s *fakeStore) Digest(e version.Epoch, r keyspace.Range) (d replica.Digest, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.at(e); err != nil {
		return d, err
	}
	d.Records = uint64(len(s.rangeLocked(r)))
	from, to := s.boundsLocked(r)
	d.Sum[0] = s.sums[to] - s.sums[from]
	return d, nil
}

func (s *fakeStore) Page(e version.Epoch, r keyspace.Range, after []byte, max int, p *replica.Page) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.at(e); err != nil {
		return err
	}
	p.Reset()
	p.Next = s.fillLocked(r, after, max, p)
	return nil
}

// fillLocked adds a range's records behind a key at its first rank to a page until that has max
// bytes, and returns where to go on.
func (s *fakeStore) fillLocked(r keyspace.Range, after []byte, max int, p *replica.Page) keyspace.Place {
	begin, size := keyspace.Place{Rank: r.From, Key: after}, 0
	for i := range p.Entries {
		size += wireSize(&p.Entries[i])
	}
	for _, i := range s.rangeLocked(r) {
		if begin.Passed(i.Rank, i.Key) {
			continue
		}
		if n := len(p.Entries); n > 0 && size >= max {
			if last := p.Entries[n-1]; last.Rank == i.Rank {
				return keyspace.Place{Rank: last.Rank, Key: last.Key}
			}
			return keyspace.Place{Rank: i.Rank}
		}
		size += wireSize(&i)
		p.Entries = append(p.Entries, replica.Entry{Rank: i.Rank, Key: slices.Clone(i.Key), Record: i.Record.Clone()})
	}
	return keyspace.Place{Rank: r.To}
}

// fetch answers a Fetch.
func (s *fakeStore) fetch(e version.Epoch, ranks []keyspace.Rank, after []byte, p *replica.Page) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.at(e); err != nil {
		return err
	}
	p.Reset()
	for i, r := range ranks {
		if i > 0 && len(p.Entries) >= fetchedAtOnce {
			p.Next = keyspace.Place{Rank: r}
			break
		}
		if stopped := s.fillLocked(keyspace.Range{From: r, To: r + 1}, after, pageBytes, p); len(stopped.Key) > 0 {
			p.Next = stopped
			break
		}
		after = nil
	}
	return nil
}

func (s *fakeStore) Tombstones(e version.Epoch, from keyspace.Place, max int, dst []replica.Tombstone) ([]replica.Tombstone, keyspace.Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.at(e); err != nil {
		return dst, keyspace.Place{}, err
	}
	size := 0
	for i := range dst {
		size += dst[i].Size()
	}
	for _, i := range s.rangeLocked(keyspace.Range{From: from.Rank}) {
		if !i.Record.Tag.Removed || from.Passed(i.Rank, i.Key) {
			continue
		}
		if len(dst) >= max || size >= MaxListBytes {
			return dst, from, nil
		}
		dst = append(dst, replica.Tombstone{Key: slices.Clone(i.Key), Tag: i.Record.Tag})
		size += dst[len(dst)-1].Size()
		from = keyspace.Place{Rank: i.Rank, Key: slices.Clone(i.Key)}
	}
	return dst, keyspace.Place{}, nil
}

func (s *fakeStore) Check(at keyspace.Rank) (keyspace.Rank, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, at)
	return at + 1<<60, s.drift
}

// remove takes out exactly this version.
func (s *fakeStore) remove(t replica.Tombstone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records[string(t.Key)].Tag == t.Tag {
		delete(s.records, string(t.Key))
		s.sorted = nil
	}
}

// Package replicatest has the plainest copy of all keys, for tests of the code that works on
// copies. It is a map, and is sorted when the order is needed. It obeys the rules of epochs, merges
// and votes.
package replicatest

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Store is one copy of all keys. The zero Store is not ready for use: New returns one that is.
type Store struct {
	rank func(key []byte) keyspace.Rank

	mu      sync.Mutex
	epoch   version.Epoch
	full    bool
	records map[string]version.Record
	sorted  []replica.Entry // nil: to be sorted anew
	sums    []uint64        // by n, the sum over the first n sorted entries
	drift   error
	checks  []keyspace.Rank
}

var _ replica.Store = (*Store)(nil)

// New returns an empty store at an epoch. rank decides the order of keys.
func New(at version.Epoch, rank func(key []byte) keyspace.Rank) *Store {
	return &Store{rank: rank, epoch: at, records: map[string]version.Record{}}
}

// Advance moves the store to an epoch. keep says which records stay; nil keeps all of them.
func (s *Store) Advance(at version.Epoch, keep func(version.Record) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch = at
	for key, r := range s.records {
		if keep != nil && !keep(r) {
			s.changeLocked(key, version.Record{})
		}
	}
}

// Epoch returns the epoch that the store is at.
func (s *Store) Epoch() version.Epoch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// Warm implements replica.Store.
func (s *Store) Warm(version.Epoch, []keyspace.Hash) {}

// SetFull makes the store refuse new values, or accept them again.
func (s *Store) SetFull(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

// SetDrift makes each Check report the error.
func (s *Store) SetDrift(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drift = err
}

// Checks returns the ranks that were checked.
func (s *Store) Checks() []keyspace.Rank {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.checks)
}

// Merge merges a record at the store's present epoch, whichever that is.
func (s *Store) Merge(key string, r version.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mergeLocked(key, r)
}

// Hold replaces the key's record. The zero record removes it.
func (s *Store) Hold(key string, r version.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changeLocked(key, r)
}

// Record returns a copy of the key's record, or the zero record when there is none.
func (s *Store) Record(key string) *version.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[key]
	r = r.Clone()
	return &r
}

// Count returns how many records are as asked for.
func (s *Store) Count(is func(version.Record) bool) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if is(r) {
			n++
		}
	}
	return n
}

// Records returns a copy of all records.
func (s *Store) Records() map[string]version.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]version.Record, len(s.records))
	for key, r := range s.records {
		all[key] = r.Clone()
	}
	return all
}

// Len returns the number of records.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

// Purge removes exactly the version that the tombstone names.
func (s *Store) Purge(t replica.Tombstone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records[string(t.Key)].Tag == t.Tag {
		s.changeLocked(string(t.Key), version.Record{})
	}
}

func (s *Store) atLocked(e version.Epoch) error {
	if s.epoch != e {
		return replica.ErrEpoch
	}
	return nil
}

func (s *Store) changeLocked(key string, r version.Record) {
	if r.Tag.IsZero() {
		delete(s.records, key)
	} else {
		s.records[key] = r.Clone()
	}
	s.sorted = nil
}

func (s *Store) mergeLocked(key string, r version.Record) bool {
	old := s.records[key]
	now := version.Merge(old, r)
	if now.Tag == old.Tag && now.Owner == old.Owner {
		return false
	}
	s.changeLocked(key, now)
	return true
}

// Get implements replica.Store.
func (s *Store) Get(e version.Epoch, _ keyspace.Hash, key, dst []byte) (version.Record, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.atLocked(e); err != nil {
		return version.Record{}, dst, err
	}
	r := s.records[string(key)]
	if r.Live() {
		n := len(dst)
		dst = append(dst, r.Value...)
		r.Value = dst[n:]
	}
	return r, dst, nil
}

// Tag implements replica.Store.
func (s *Store) Tag(e version.Epoch, h keyspace.Hash, key, dst []byte) (version.Record, []byte, error) {
	r, dst, err := s.Get(e, h, key, dst)
	r.Value = nil
	return r, dst, err
}

// Put implements replica.Store.
func (s *Store) Put(e version.Epoch, _ keyspace.Hash, key []byte, r *version.Record) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.atLocked(e); err != nil {
		return false, err
	}
	return s.mergeLocked(string(key), *r), nil
}

// Vote implements replica.Store.
func (s *Store) Vote(e version.Epoch, _ keyspace.Hash, key []byte, tombstone *version.Record) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.atLocked(e); err != nil {
		return false, err
	}
	have := s.records[string(key)]
	switch c := have.Tag.Compare(tombstone.Tag); {
	case c == 0:
		return have.Owner == tombstone.Owner && have.Owner != version.Contested, nil
	case c > 0:
		return false, nil
	}
	s.changeLocked(string(key), *tombstone)
	return true, nil
}

// Full implements replica.Store.
func (s *Store) Full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// Entries returns a range's records, ascending by rank and key, at an epoch.
func (s *Store) Entries(e version.Epoch, r keyspace.Range) ([]replica.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.atLocked(e); err != nil {
		return nil, err
	}
	from, to := s.boundsLocked(r)
	return slices.Clone(s.sorted[from:to]), nil
}

// boundsLocked returns the interval of the sorted entries that a range covers.
func (s *Store) boundsLocked(r keyspace.Range) (from, to int) {
	if s.sorted == nil {
		s.sorted = make([]replica.Entry, 0, len(s.records))
		for key, rec := range s.records {
			s.sorted = append(s.sorted, replica.Entry{Rank: s.rank([]byte(key)), Key: []byte(key), Record: rec})
		}
		slices.SortFunc(s.sorted, func(a, b replica.Entry) int {
			return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(string(a.Key), string(b.Key)))
		})
		s.sums = make([]uint64, len(s.sorted)+1)
		for n, e := range s.sorted {
			s.sums[n+1] = s.sums[n] + sumOf(&e)
		}
	}
	byRank := func(e replica.Entry, r keyspace.Rank) int { return cmp.Compare(e.Rank, r) }
	from, _ = slices.BinarySearchFunc(s.sorted, r.From, byRank)
	to = len(s.sorted)
	if r.To != 0 {
		to, _ = slices.BinarySearchFunc(s.sorted, r.To, byRank)
	}
	return from, max(from, to)
}

var digestSeed = maphash.MakeSeed()

func sumOf(e *replica.Entry) uint64 {
	return maphash.String(digestSeed, fmt.Sprint(string(e.Key), e.Record.Tag, e.Record.Owner))
}

// Digest implements replica.Store.
func (s *Store) Digest(e version.Epoch, r keyspace.Range) (d replica.Digest, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.atLocked(e); err != nil {
		return d, err
	}
	from, to := s.boundsLocked(r)
	d.Records, d.Sum[0] = uint64(to-from), s.sums[to]-s.sums[from]
	return d, nil
}

// Page implements replica.Store.
func (s *Store) Page(e version.Epoch, r keyspace.Range, after []byte, max int, p *replica.Page) error {
	p.Reset()
	return s.Fill(e, r, after, max, p)
}

// Fill is Page for a page that may already have entries. These count towards max.
func (s *Store) Fill(e version.Epoch, r keyspace.Range, after []byte, max int, p *replica.Page) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.atLocked(e); err != nil {
		return err
	}
	begin, size := keyspace.Place{Rank: r.From, Key: after}, 0
	for i := range p.Entries {
		size += sizeOf(&p.Entries[i])
	}
	p.Next = keyspace.Place{Rank: r.To}
	from, to := s.boundsLocked(r)
	for _, e := range s.sorted[from:to] {
		if begin.Passed(e.Rank, e.Key) {
			continue
		}
		if n := len(p.Entries); n > 0 && size >= max {
			p.Next = keyspace.Place{Rank: e.Rank}
			if last := p.Entries[n-1]; last.Rank == e.Rank {
				p.Next.Key = last.Key
			}
			return nil
		}
		size += sizeOf(&e)
		p.Entries = append(p.Entries, replica.Entry{Rank: e.Rank, Key: slices.Clone(e.Key), Record: e.Record.Clone()})
	}
	return nil
}

// sizeOf is about what an entry costs on the wire, in bytes.
func sizeOf(e *replica.Entry) int {
	return len(e.Key) + len(e.Record.Value) + len(e.Record.Vector) + 24
}

// Tombstones implements replica.Store.
func (s *Store) Tombstones(e version.Epoch, from keyspace.Place, max int, dst []replica.Tombstone) ([]replica.Tombstone, keyspace.Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.atLocked(e); err != nil {
		return dst, keyspace.Place{}, err
	}
	size := 0
	for i := range dst {
		size += dst[i].Size()
	}
	first, last := s.boundsLocked(keyspace.Range{From: from.Rank})
	for _, e := range s.sorted[first:last] {
		if !e.Record.Tag.Removed || from.Passed(e.Rank, e.Key) {
			continue
		}
		if len(dst) >= max || size >= replica.MaxListBytes {
			return dst, from, nil
		}
		dst = append(dst, replica.Tombstone{Key: slices.Clone(e.Key), Tag: e.Record.Tag})
		size += dst[len(dst)-1].Size()
		from = keyspace.Place{Rank: e.Rank, Key: slices.Clone(e.Key)}
	}
	return dst, keyspace.Place{}, nil
}

// Check implements replica.Store. Each bucket has a sixteenth of all ranks.
func (s *Store) Check(at keyspace.Rank) (keyspace.Range, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, at)
	return keyspace.Range{From: at, To: at + 1<<60}, s.drift
}

package storage

import (
	"errors"
	"fmt"

	"viakv/node/storage/packed"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Root returns the digest of all records, for people to look at. It takes the partitions one after
// the other, at whatever epoch they are.
func (s *Store) Root() (d replica.Digest) {
	for i := range s.shards {
		p := &s.shards[i]
		p.mu.RLock()
		d = d.Add(p.table.digest)
		p.mu.RUnlock()
	}
	return d
}

// Digest returns the digest of all records whose ranks lie in the range. For whole partitions and
// buckets it takes their sums. For the buckets that the range cuts, at most two, it takes their
// records. Each partition's part is exact at one moment. The partitions are taken one after the
// other, and each was at the epoch when it was taken (S1).
func (s *Store) Digest(epoch version.Epoch, r keyspace.Range) (d replica.Digest, err error) {
	if r.Empty() {
		return d, nil
	}
	for p := r.From.Partition(); ; p++ {
		part, err := s.part(epoch, p, r)
		if err != nil {
			return replica.Digest{}, err
		}
		d = d.Add(part)
		if p == r.Last().Partition() {
			return d, nil
		}
	}
}

// part returns the digest of one partition's share of a range.
func (s *Store) part(epoch version.Epoch, p keyspace.Partition, r keyspace.Range) (d replica.Digest, err error) {
	q := &s.shards[p]
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.epoch != epoch {
		return replica.Digest{}, replica.ErrEpoch
	}
	if r.Covers(p.Whole()) {
		return q.table.digest, nil
	}
	at, end := max(r.From, p.First()), p.Whole().To
	for {
		b, own := q.table.at(at)
		if r.Covers(own) {
			d = d.Add(b.digest())
		} else {
			d = d.Add(q.table.recount(b, r))
		}
		at = own.To
		if at == end || !r.Contains(at) {
			return d, nil
		}
	}
}

// recount computes the digest of those records of a bucket that lie in a range.
func (t *table) recount(b *bucket, r keyspace.Range) (d replica.Digest) {
	t.each(b, func(_ packed.Block, rec packed.Record, _, _ int) {
		if h := t.space.seed.Hash(rec.Key); r.Contains(h.Rank()) {
			have := parse(rec.Meta)
			d = d.Add(t.space.key.of(h, have.Tag, have.Owner))
		}
	})
	return d
}

// errDrift means that a digest does not match its records (S4). The cause is a bug in this program
// or a fault of the machine's memory.
var errDrift = errors.New("storage: a bucket's digest has drifted from its records")

// Check recomputes the digest of the bucket that holds a rank, and compares it with the digest that
// was kept up to date. A difference is an errDrift. A record that lies in the wrong bucket is not
// counted, so it is a difference, too. Check returns the bucket's range, so that a patrol can go
// from bucket to bucket.
func (s *Store) Check(at keyspace.Rank) (keyspace.Range, error) {
	p := &s.shards[at.Partition()]
	p.mu.RLock()
	defer p.mu.RUnlock()
	b, r := p.table.at(at)
	if kept, counted := b.digest(), p.table.recount(b, r); kept != counted {
		return r, fmt.Errorf("%w: %v holds %v, its digest says %v; rebuild this node from its peers and report it", errDrift, r, counted, kept)
	}
	return r, nil
}

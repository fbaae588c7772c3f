package storage

import (
	"errors"
	"fmt"

	"viakv/node/storage/packed"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
	"viakv/ring/keyspace"
)

// Errors of Put and Vote, beside replica.ErrEpoch. Nothing was done.
var (
	// errGeneration means that the record is from before a clear, or from after a clear that this
	// store has not seen (S2).
	errGeneration = errors.New("storage: a record of another clear generation")
	// errSize means that the key or the record does not fit the store's format.
	errSize = errors.New("storage: a size out of bounds")
)

// Put merges a record into what is there (version.Merge) and reports whether that changed anything.
// Put keeps no reference to key or record.
//
// For a record of another generation than the partition's, Put returns an error instead of a quiet
// success. A clear has taken an older record away, so a caller that counts acknowledgements must
// not count this one.
func (s *Store) Put(epoch version.Epoch, h keyspace.Hash, key []byte, rec *version.Record) (changed bool, err error) {
	var buffer [version.MaxMetaBytes]byte
	p := s.shard(h)
	meta, err := p.lockFor(epoch, key, rec, buffer[:0])
	if err != nil {
		return false, err
	}
	defer p.mu.Unlock()
	if rec.Tag.Counter == 0 { // the record of an absent key
		return false, nil
	}
	at := p.table.find(h, key)
	if at.slot < 0 {
		p.table.insert(h, key, meta, rec)
		return true, nil
	}
	have := at.record()
	if !version.Changes(have.Tag, have.Owner, rec.Tag, rec.Owner) {
		return false, nil
	}
	if have.Tag == rec.Tag { // a tombstone that becomes contested
		merged := version.Merge(have, *rec)
		rec, meta = &merged, version.AppendMeta(buffer[:0], &merged)
	}
	p.table.replace(h, at, &have, meta, rec)
	return true, nil
}

// Vote stores a tombstone and votes for its owner, if what is here is the version that the
// tombstone removes, or an older one. An absent key counts as older.
//
// If the same request's tombstone is here already, Vote gives the vote again. It does not matter
// whether that tombstone came by a vote or as a copy by Put: from then on no other request can get
// this replica's vote. If another request's tombstone, a contested one or something newer is here,
// Vote gives no vote and changes nothing.
func (s *Store) Vote(epoch version.Epoch, h keyspace.Hash, key []byte, tombstone *version.Record) (voted bool, err error) {
	var buffer [version.MaxMetaBytes]byte
	p := s.shard(h)
	meta, err := p.lockFor(epoch, key, tombstone, buffer[:0])
	if err != nil {
		return false, err
	}
	defer p.mu.Unlock()
	if !tombstone.Tag.Removed || tombstone.Tag.Counter == 0 || tombstone.Owner == version.Contested {
		return false, nil
	}
	at := p.table.find(h, key)
	if at.slot < 0 {
		p.table.insert(h, key, meta, tombstone)
		return true, nil
	}
	have := at.record()
	switch c := have.Tag.Compare(tombstone.Tag); {
	case c == 0:
		return have.Owner == tombstone.Owner || rule.Broken(rule.VoteOnce), nil
	case c > 0:
		return false, nil
	}
	p.table.replace(h, at, &have, meta, tombstone)
	return true, nil
}

// lockFor checks that a record may be put (S1, S2), appends its metadata to buffer, and locks the
// shard, which the caller unlocks. It does not lock the shard when it returns an error.
func (s *shard) lockFor(epoch version.Epoch, key []byte, r *version.Record, buffer []byte) (meta []byte, err error) {
	if err := fits(key, r); err != nil {
		return nil, err
	}
	meta = version.AppendMeta(buffer, r)
	s.mu.Lock()
	switch {
	case s.epoch != epoch:
		err = replica.ErrEpoch
	case s.generation != r.Tag.Generation && r.Tag.Counter != 0:
		err = errGeneration
	default:
		return meta, nil
	}
	s.mu.Unlock()
	return nil, err
}

// fits checks that a key and its record fit the format.
func fits(key []byte, r *version.Record) error {
	switch {
	case len(key) == 0 || len(key) > packed.MaxKeyBytes:
		return fmt.Errorf("%w: a key of %d bytes, allowed are 1 to %d", errSize, len(key), packed.MaxKeyBytes)
	case len(r.Value) > packed.MaxValueBytes:
		return fmt.Errorf("%w: a value of %d bytes, allowed are %d", errSize, len(r.Value), packed.MaxValueBytes)
	case len(r.Vector) > version.MaxVectorBytes:
		return fmt.Errorf("%w: a version vector of %d bytes, allowed are %d", errSize, len(r.Vector), version.MaxVectorBytes)
	}
	return nil
}

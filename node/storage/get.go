package storage

import (
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Get appends the key's record to dst. Vector and Value of the record point into the result. An
// absent key has the zero Tag. Get does not allocate when dst has room: version.MaxMetaBytes and
// the longest value are always enough.
func (s *Store) Get(epoch version.Epoch, h keyspace.Hash, key, dst []byte) (rec version.Record, buf []byte, err error) {
	return s.get(epoch, h, key, dst, true)
}

// Tag is Get without the value.
func (s *Store) Tag(epoch version.Epoch, h keyspace.Hash, key, dst []byte) (rec version.Record, buf []byte, err error) {
	return s.get(epoch, h, key, dst, false)
}

func (s *Store) get(epoch version.Epoch, h keyspace.Hash, key, dst []byte, value bool) (rec version.Record, buf []byte, err error) {
	begin := len(dst)
	found, meta, dst, err := s.shard(h).copyOut(epoch, h, key, dst, value)
	if !found {
		return version.Record{}, dst, err
	}
	rec = parse(dst[begin : begin+meta : begin+meta])
	if value && rec.Live() {
		rec.Value = dst[begin+meta:]
	}
	return rec, dst, nil
}

// copyOut appends a record's metadata and value. Everything else is done without the lock (S5).
func (s *shard) copyOut(epoch version.Epoch, h keyspace.Hash, key, dst []byte, value bool) (found bool, meta int, buf []byte, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.epoch != epoch {
		return false, 0, dst, replica.ErrEpoch
	}
	at := s.table.find(h, key)
	if at.slot < 0 {
		return false, 0, dst, nil
	}
	r := at.block.At(at.slot)
	dst = append(dst, r.Meta...)
	if value {
		dst = append(dst, r.Value...)
	}
	return true, len(r.Meta), dst, nil
}

// parse decodes metadata that this package has stored.
func parse(meta []byte) version.Record {
	r, err := version.ParseMeta(meta)
	if err != nil {
		panic("storage: a stored record cannot be read back: " + err.Error())
	}
	return r
}

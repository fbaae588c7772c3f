package raftkv

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"sync"
)

const shards = 256

// store is the state that the log is applied to: a map in shards. One goroutine writes, many read.
type store struct {
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu     sync.RWMutex
	values map[string]*[]byte
}

func newStore() *store {
	s := &store{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].values = map[string]*[]byte{}
	}
	return s
}

func (s *store) shard(key []byte) *shard { return &s.shards[maphash.Bytes(s.seed, key)%shards] }

// get returns the value of a key. Nobody changes the value afterwards.
func (s *store) get(key []byte) (value []byte, found bool) {
	in := s.shard(key)
	in.mu.RLock()
	defer in.mu.RUnlock()
	held, found := in.values[string(key)]
	if !found {
		return nil, false
	}
	return *held, true
}

// set stores copies of key and value.
func (s *store) set(key, value []byte) {
	value = append(make([]byte, 0, len(value)), value...)
	in := s.shard(key)
	in.mu.Lock()
	defer in.mu.Unlock()
	if held, found := in.values[string(key)]; found {
		*held = value
		return
	}
	in.values[string(key)] = &value
}

// remove reports whether the key was there.
func (s *store) remove(key []byte) bool {
	in := s.shard(key)
	in.mu.Lock()
	defer in.mu.Unlock()
	_, found := in.values[string(key)]
	delete(in.values, string(key))
	return found
}

// encode returns everything as a snapshot.
func (s *store) encode() (b []byte) {
	for i := range s.shards {
		in := &s.shards[i]
		in.mu.RLock()
		for key, value := range in.values {
			b = appendBytes(appendBytes(b, []byte(key)), *value)
		}
		in.mu.RUnlock()
	}
	return b
}

// restore replaces everything by a snapshot. A read meanwhile finds a key as it was before or as it
// is afterwards.
func (s *store) restore(b []byte) error {
	fresh := newStore()
	fresh.seed = s.seed
	for len(b) > 0 {
		key, rest, ok := cutBytes(b)
		value, rest, ok2 := cutBytes(rest)
		if !ok || !ok2 {
			return errCut
		}
		fresh.set(key, value)
		b = rest
	}
	for i := range s.shards {
		s.shards[i].mu.Lock()
		s.shards[i].values = fresh.shards[i].values
		s.shards[i].mu.Unlock()
	}
	return nil
}

var errCut = errors.New("raftkv: the bytes end too early")

// appendBytes appends a text with its length before it.
func appendBytes(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// cutBytes returns the first text of b and what follows it.
func cutBytes(b []byte) (text, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	b = b[size:]
	return b[:n], b[n:], true
}

package kvtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// Reference is a store that is nothing but a map under a mutex. It is the oracle that other stores
// are compared with, and a store for tests of code that needs one. It orders scans by key. The zero
// value is an empty store.
type Reference struct {
	// BatchSize is the number of pairs of a scan's batch. Zero: 256.
	BatchSize int
	// MaxBytes bounds the bytes of keys and values. A set beyond it fails with kv.ErrMemoryLimit.
	// Zero: no limit.
	MaxBytes int
	// NotReady, when not nil, is the error of Ready and of every other method.
	NotReady error

	mu         sync.RWMutex
	pairs      map[string]referenceValue
	bytes      int
	generation uint64 // clears so far
	changes    uint64 // mutations so far; also the counter of versions
}

type referenceValue struct {
	value []byte
	tag   version.Tag
}

var _ kv.Store = (*Reference)(nil)

// check returns the error of a call whose time is over, whose store is not ready, or that asks for
// more replicas than one.
func (s *Reference) check(ctx context.Context, o kv.Options) error {
	if s.NotReady != nil {
		return s.NotReady
	}
	if ctx.Err() != nil || !o.Deadline.IsZero() && !time.Now().Before(o.Deadline) {
		return &kv.Unavailable{Outcome: kv.None, Reason: "the deadline has passed", Err: ctx.Err()}
	}
	for _, q := range []struct {
		name   string
		quorum kv.Quorum
	}{{"r", o.R}, {"w", o.W}} {
		if q.quorum > 1 {
			return &kv.ArgumentError{Parameter: q.name, Detail: fmt.Sprintf("%d replicas were asked for, and there is 1", q.quorum)}
		}
	}
	return nil
}

// Ready implements kv.Store.
func (s *Reference) Ready(ctx context.Context) error { return s.check(ctx, kv.Options{}) }

// Get implements kv.Store.
func (s *Reference) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	if err := s.check(ctx, o); err != nil {
		return dst, version.Tag{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := s.pairs[string(key)]
	if !ok {
		return dst, version.Tag{}, kv.ErrMissing
	}
	return append(dst, v.value...), v.tag, nil
}

// GetMany implements kv.Store.
func (s *Reference) GetMany(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
	for i := range reads {
		r := &reads[i]
		begin := len(dst)
		r.Value = nil
		if dst, r.Version, r.Err = s.Get(ctx, dst, r.Key, o); r.Err == nil {
			r.Value = dst[begin:len(dst):len(dst)]
		}
	}
	return dst
}

// Has implements kv.Store.
func (s *Reference) Has(ctx context.Context, key []byte, o kv.Options) (version.Tag, error) {
	_, tag, err := s.Get(ctx, nil, key, o)
	return tag, err
}

// Set implements kv.Store.
func (s *Reference) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	if err := s.check(ctx, o); err != nil {
		return version.Tag{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, existed := s.pairs[string(key)]
	grown := s.bytes + len(value) - len(old.value)
	if !existed {
		grown += len(key)
	}
	if s.MaxBytes > 0 && grown > s.MaxBytes && grown > s.bytes {
		return version.Tag{}, kv.ErrMemoryLimit
	}
	s.changes++
	tag := version.Tag{Generation: version.Generation(s.generation), Counter: s.changes, Incarnation: 1}
	if s.pairs == nil {
		s.pairs = make(map[string]referenceValue)
	}
	s.pairs[string(key)] = referenceValue{bytes.Clone(value), tag}
	s.bytes = grown
	return tag, nil
}

// SetMany implements kv.Store.
func (s *Reference) SetMany(ctx context.Context, writes []kv.Write, o kv.Options) {
	for i := range writes {
		w := &writes[i]
		w.Version, w.Err = s.Set(ctx, w.Key, w.Value, o)
	}
}

// Remove implements kv.Store.
func (s *Reference) Remove(ctx context.Context, key []byte, o kv.Options) error {
	if err := s.check(ctx, o); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.pairs[string(key)]
	if !ok {
		return kv.ErrMissing
	}
	delete(s.pairs, string(key))
	s.bytes -= len(key) + len(v.value)
	s.changes++
	return nil
}

// Clear implements kv.Store.
func (s *Reference) Clear(ctx context.Context, o kv.Options) error {
	if err := s.check(ctx, o); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pairs, s.bytes = nil, 0
	s.generation++
	s.changes++
	return nil
}

// Scan implements kv.Store. The keys are those of this moment. A key that is removed before its
// batch is left out.
func (s *Reference) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	if err := s.check(ctx, o.Options); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	after, err := s.parseCursorLocked(o.Cursor)
	if err != nil {
		return nil, err
	}
	sc := &referenceScanner{store: s, options: o, resume: o.Cursor, generation: s.generation, changes: s.changes}
	for k := range s.pairs {
		if strings.HasPrefix(k, o.Prefix) && k > after {
			sc.keys = append(sc.keys, k)
		}
	}
	slices.Sort(sc.keys)
	return sc, nil
}

// cursor returns the generation and the last key delivered, with a checksum, as a cursor's text.
func (s *Reference) cursor(generation uint64, key string) string {
	b := binary.BigEndian.AppendUint64(nil, generation)
	b = append(b, key...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return kv.EncodeCursor(b)
}

func (s *Reference) parseCursorLocked(cursor string) (after string, err error) {
	if cursor == "" {
		return "", nil
	}
	b, ok := kv.DecodeCursor(cursor)
	if !ok || len(b) < 8+1+4 {
		return "", kv.ErrBadCursor
	}
	body, sum := b[:len(b)-4], b[len(b)-4:]
	if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(sum) {
		return "", kv.ErrBadCursor
	}
	if binary.BigEndian.Uint64(body) != s.generation {
		return "", kv.Detail(kv.ErrBadCursor, "it was made before the store was cleared")
	}
	return string(body[8:]), nil
}

type referenceScanner struct {
	store      *Reference
	options    kv.ScanOptions
	keys       []string // not yet delivered
	generation uint64
	changes    uint64
	delivered  []string // the last batch's keys
	resume     string   // the cursor at the start of the last batch
	closed     bool
}

// Next implements kv.Scanner.
func (sc *referenceScanner) Next(ctx context.Context, b *kv.Batch) (bool, error) {
	b.Reset()
	if sc.closed {
		return false, fmt.Errorf("kvtest: the scanner was closed")
	}
	s := sc.store
	if err := s.check(ctx, kv.Options{}); err != nil {
		return false, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.generation != sc.generation {
		return false, kv.ErrCleared
	}
	size := s.BatchSize
	if size <= 0 {
		size = 256
	}
	// Cursor(0) resumes at the start of the batch that now begins.
	if n := len(sc.delivered); n > 0 {
		sc.resume = s.cursor(sc.generation, sc.delivered[n-1])
	}
	sc.delivered = sc.delivered[:0]
	// Keys that were removed meanwhile are left out.
	for len(sc.keys) > 0 && len(b.Pairs) < size {
		key := sc.keys[0]
		sc.keys = sc.keys[1:]
		v, ok := s.pairs[key]
		if !ok {
			continue
		}
		pair := kv.Pair{Key: []byte(key), Version: v.tag}
		if sc.options.Values {
			pair.Value = append([]byte{}, v.value...)
		}
		b.Pairs = append(b.Pairs, pair)
		sc.delivered = append(sc.delivered, key)
	}
	if len(b.Pairs) > 0 {
		return true, nil
	}
	if sc.options.Snapshot && s.changes != sc.changes {
		return false, kv.ErrSnapshotMoved
	}
	return false, nil
}

// Cursor implements kv.Scanner.
func (sc *referenceScanner) Cursor(n int) string {
	s := sc.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	follows := n < len(sc.delivered)
	for i := 0; i < len(sc.keys) && !follows; i++ {
		_, follows = s.pairs[sc.keys[i]]
	}
	switch {
	case !follows:
		return ""
	case n == 0:
		return sc.resume
	}
	return s.cursor(sc.generation, sc.delivered[n-1])
}

// Close implements kv.Scanner.
func (sc *referenceScanner) Close() { sc.closed = true }

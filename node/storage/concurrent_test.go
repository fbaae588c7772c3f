package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Other keys come, change length and go, so that buckets split and merge all the time. Meanwhile a
// walk meets each key that stays exactly once and whole, lookups find it, and no digest drifts.
func TestWalksAndLookupsDuringChange(t *testing.T) {
	s := newStore(testConfig, 700)
	defer s.Close()
	const stable, churning = 3000, 3000
	stay := map[string]bool{}
	for i := range stable {
		key := fmt.Sprintf("stay-%d", i)
		stay[key] = true
		put(t, s, key, live(1, key+key))
	}
	var stop atomic.Bool
	var grown, shrunk atomic.Int64
	var writers, readers sync.WaitGroup
	for g := range 2 {
		writers.Go(func() {
			for round := uint64(1); !stop.Load(); round++ {
				value := make([]byte, 1000)
				for i := range churning {
					key := fmt.Appendf(nil, "go-%d-%d", g, i)
					rec := version.Record{Tag: version.Tag{Counter: round, Incarnation: 2}, Value: value[:(i*int(round))%1000]}
					if changed, err := s.Put(0, testSeed.Hash(key), key, &rec); err != nil || !changed {
						t.Errorf("put: %v, %v", changed, err)
						return
					}
				}
				grown.Add(int64(s.Stats().Buckets))
				for i := range churning {
					key := fmt.Appendf(nil, "go-%d-%d", g, i)
					h := testSeed.Hash(key)
					tombstone := version.Record{
						Tag:   version.Tag{Counter: round, Incarnation: 2, Removed: true},
						Owner: version.Operation{Incarnation: 2, Sequence: round},
					}
					voted, err := s.Vote(0, h, key, &tombstone)
					if err != nil || !voted {
						t.Errorf("vote: %v, %v", voted, err)
						return
					}
					if n, err := s.Purge(0, []replica.Tombstone{{Key: key, Tag: tombstone.Tag}}); n != 1 || err != nil {
						t.Errorf("a tombstone that only this writer touches was not purged: %v", err)
						return
					}
				}
				shrunk.Add(1)
			}
		})
	}
	readers.Go(func() {
		dst := make([]byte, 0, 2048)
		for i := 0; !stop.Load(); i++ {
			key := fmt.Sprintf("stay-%d", i%stable)
			rec, _, err := s.Get(0, testSeed.Hash([]byte(key)), []byte(key), dst)
			if err != nil || string(rec.Value) != key+key {
				t.Errorf("get %q: %q, %v", key, rec.Value, err)
				return
			}
			if _, err := s.Check(testSeed.Hash([]byte(key)).Rank()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var b Bucket
	for walks := 0; walks < 20 || shrunk.Load() < 4; walks++ {
		if t.Failed() {
			break
		}
		seen := map[string]bool{}
		for at := keyspace.Rank(0); ; {
			copyTo(t, s, at, &b)
			for e := range b.entries {
				key := string(e.Key)
				if !stay[key] || e.Rank < at {
					continue
				}
				if seen[key] {
					t.Errorf("walk %d meets %q twice", walks, key)
				}
				seen[key] = true
				if string(e.Record.Value) != key+key {
					t.Errorf("walk %d: %q has %q", walks, key, e.Record.Value)
				}
			}
			if at = b.Range.To; at == 0 {
				break
			}
		}
		if len(seen) != stable {
			t.Errorf("walk %d meets %d of %d keys", walks, len(seen), stable)
		}
	}
	stop.Store(true)
	writers.Wait()
	readers.Wait()
	verify(t, s)
}

// Once Advance has returned, nothing stamped with an older epoch takes effect (S1), and nothing of
// an older generation stays (S2).
func TestAdvanceFences(t *testing.T) {
	s := open(t, testConfig)
	var epoch atomic.Uint64 // set before Advance is called with it
	var wg sync.WaitGroup
	var accepted atomic.Int64
	const last = 60
	for g := range 3 {
		wg.Go(func() {
			for i := uint64(1); ; i++ {
				key := binary.BigEndian.AppendUint64(nil, i%500)
				now := epoch.Load()
				if now == last {
					return
				}
				rec := version.Record{Tag: version.Tag{Generation: version.Generation(now), Counter: i, Incarnation: version.Incarnation(g + 1)}}
				rec.Value = key
				_, err := s.Put(version.Epoch(now), testSeed.Hash(key), key, &rec)
				switch {
				case err == nil:
					accepted.Add(1)
				case !errors.Is(err, replica.ErrEpoch):
					t.Error(err)
					return
				}
			}
		})
	}
	for e := uint64(1); e <= last; e++ {
		epoch.Store(e)
		s.Advance(version.Epoch(e), version.Generation(e))
		for p := range s.shards {
			var b Bucket
			at := keyspace.Partition(p)
			if err := s.Copy(version.Epoch(e), at.First(), &b); err != nil {
				t.Fatalf("partition %d after the advance to %d: %v", p, e, err)
			}
			if err := s.Copy(version.Epoch(e-1), at.First(), &b); !errors.Is(err, replica.ErrEpoch) || len(b.data) != 0 || b.Digest != (replica.Digest{}) {
				t.Fatalf("partition %d copies %d bytes at the epoch before %d: %v", p, len(b.data), e, err)
			}
			if d, err := s.Digest(version.Epoch(e-1), at.Whole()); !errors.Is(err, replica.ErrEpoch) {
				t.Fatalf("partition %d has the digest %v at the epoch before %d: %v", p, d, e, err)
			}
			_ = s.Copy(version.Epoch(e), at.First(), &b)
			for r := range b.entries {
				if r.Record.Tag.Generation != version.Generation(e) {
					t.Fatalf("%v is there after the advance to %d", r.Record.Tag, e)
				}
			}
		}
		for before := accepted.Load(); e < last && accepted.Load() < before+200 && !t.Failed(); {
			s.Root()
		}
	}
	wg.Wait()
	verify(t, s)
	if accepted.Load() == 0 {
		t.Fatal("nothing was put: the test shows nothing")
	}
}

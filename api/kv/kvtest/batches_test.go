package kvtest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"viakv/api/kv"
)

// rebatched returns a store whose batches are stored by setMany.
func rebatched(s kv.Store, setMany func(ctx context.Context, writes []kv.Write, o kv.Options)) kv.Store {
	return &faulty{Store: s, setMany: setMany}
}

// batchFaults are faults of batches alone.
var batchFaults = []fault{
	{"a batch loses its last value", "Batches", func(s kv.Store) kv.Store {
		return rebatched(s, func(ctx context.Context, writes []kv.Write, o kv.Options) {
			if n := len(writes) - 1; n >= 0 {
				s.SetMany(ctx, writes[:n], o)
				writes[n].Err = nil
			}
		})
	}},
	{"a batch keeps errors from before", "Batches", func(s kv.Store) kv.Store {
		return rebatched(s, func(ctx context.Context, writes []kv.Write, o kv.Options) {
			before := slices.Clone(writes)
			s.SetMany(ctx, writes, o)
			for i := range writes {
				if writes[i].Err == nil {
					writes[i].Err = before[i].Err
				}
			}
		})
	}},
	{"a batch keeps versions from before", "Batches", func(s kv.Store) kv.Store {
		return rebatched(s, func(ctx context.Context, writes []kv.Write, o kv.Options) {
			before := slices.Clone(writes)
			s.SetMany(ctx, writes, o)
			for i := range writes {
				writes[i].Version = before[i].Version
			}
		})
	}},
	{"a batch adds keys, and overwrites none", "Batches", func(s kv.Store) kv.Store {
		return rebatched(s, func(ctx context.Context, writes []kv.Write, o kv.Options) {
			for i := range writes {
				w := &writes[i]
				if w.Version, w.Err = s.Has(ctx, w.Key, o); errors.Is(w.Err, kv.ErrMissing) {
					w.Version, w.Err = s.Set(ctx, w.Key, w.Value, o)
				}
			}
		})
	}},
	{"a batch is kept where the caller had it", "BorrowedBatches", func(s kv.Store) kv.Store {
		var kept []kv.Write
		return &faulty{
			Store: s,
			setMany: func(ctx context.Context, writes []kv.Write, o kv.Options) {
				kept = slices.Clone(writes)
				s.SetMany(ctx, writes, o)
			},
			scan: func(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
				s.SetMany(ctx, kept, o.Options)
				return s.Scan(ctx, o)
			},
		}
	}},
	{"a second attempt of a batch comes late", "OverlappingBatches", func(s kv.Store) kv.Store {
		var mu sync.Mutex
		var first []kv.Write
		return rebatched(s, func(ctx context.Context, writes []kv.Write, o kv.Options) {
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = slices.Clone(writes)
			}
			s.SetMany(ctx, writes, o)
			s.SetMany(ctx, slices.Clone(first[:1]), o)
		})
	}},
	{"a batch that is under way makes another fail", "OverlappingBatches", func(s kv.Store) kv.Store {
		var rows sync.Mutex
		return rebatched(s, func(ctx context.Context, writes []kv.Write, o kv.Options) {
			if !rows.TryLock() {
				for i := range writes {
					writes[i].Err = &kv.Unavailable{Outcome: kv.None, Reason: "deadlock"}
				}
				return
			}
			defer rows.Unlock()
			s.SetMany(ctx, writes, o)
			runtime.Gosched() // another batch comes now
		})
	}},
	{"a batch is stored twice", "RemovesAndBatches", func(s kv.Store) kv.Store {
		return rebatched(s, func(ctx context.Context, writes []kv.Write, o kv.Options) {
			s.SetMany(ctx, writes, o)
			for {
				if _, err := s.Has(ctx, []byte("k"), o); err != nil {
					break // removed
				}
				runtime.Gosched()
			}
			s.SetMany(ctx, writes, o)
		})
	}},
	{"a batch stores its last value after it has returned", "BatchesGrow", func(s kv.Store) kv.Store {
		var last kv.Write
		return rebatched(s, func(ctx context.Context, writes []kv.Write, o kv.Options) {
			n := len(writes) - 1
			s.SetMany(ctx, writes[:n], o)
			if last.Key != nil {
				_, _ = s.Set(ctx, last.Key, last.Value, o)
			}
			last, writes[n].Err = writes[n], nil
		})
	}},
	{"outcome none of a value that was stored", "DeadlinesOfBatches", func(s kv.Store) kv.Store {
		return rebatched(s, func(ctx context.Context, writes []kv.Write, o kv.Options) {
			s.SetMany(ctx, writes, o)
			if w := writes[len(writes)-1]; w.Err != nil {
				_, _ = s.Set(background, w.Key, w.Value, kv.Options{})
			}
		})
	}},
	{"half a batch has no error", "CancellationOfBatches", func(s kv.Store) kv.Store {
		return rebatched(s, func(ctx context.Context, writes []kv.Write, o kv.Options) {
			s.SetMany(ctx, writes, o)
			for i := range writes[:len(writes)/2] {
				writes[i].Err = nil
			}
		})
	}},
}

package kvtest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// reread returns a store that changes each batch of gets behind the sound one. before is the batch
// as it was given.
func reread(s kv.Store, change func(reads, before []kv.Read)) kv.Store {
	return &faulty{Store: s, getMany: func(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
		before := slices.Clone(reads)
		dst = s.GetMany(ctx, dst, reads, o)
		change(reads, before)
		return dst
	}}
}

// readFaults are faults of batches of gets alone.
var readFaults = []fault{
	{"a batch of gets loses its last key", "ManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, _ []kv.Read) {
			if n := len(reads) - 1; n > 0 {
				reads[n].Value, reads[n].Err = nil, kv.ErrMissing
			}
		})
	}},
	{"a batch of gets ends at a thousand keys", "ManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, _ []kv.Read) {
			for i := 1000; i < len(reads); i++ {
				reads[i].Value, reads[i].Err = nil, kv.ErrMissing
			}
		})
	}},
	{"a batch of gets finds a key once", "ManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, _ []kv.Read) {
			found := map[string]bool{}
			for i := range reads {
				r := &reads[i]
				if found[string(r.Key)] {
					r.Value, r.Err = nil, kv.ErrMissing
				}
				found[string(r.Key)] = true
			}
		})
	}},
	{"a batch of gets has its values in the order of the keys", "ManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, _ []kv.Read) {
			sorted := slices.Clone(reads)
			slices.SortFunc(sorted, func(a, b kv.Read) int { return bytes.Compare(a.Key, b.Key) })
			for i := range reads {
				reads[i].Value, reads[i].Err = sorted[i].Value, sorted[i].Err
			}
		})
	}},
	{"a batch of gets fails where a key is missing", "ManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, _ []kv.Read) {
			if slices.ContainsFunc(reads, func(r kv.Read) bool { return r.Err != nil }) {
				for i := range reads {
					reads[i].Value, reads[i].Err = nil, kv.ErrMissing
				}
			}
		})
	}},
	{"a batch of gets misses empty values", "ManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, _ []kv.Read) {
			for i := range reads {
				if r := &reads[i]; len(r.Value) == 0 {
					r.Value, r.Err = nil, kv.ErrMissing
				}
			}
		})
	}},
	{"a batch of gets ends its values at NUL", "ManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, _ []kv.Read) {
			for i := range reads {
				reads[i].Value, _, _ = bytes.Cut(reads[i].Value, []byte{0})
			}
		})
	}},
	{"a batch of gets changes its keys", "ManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, _ []kv.Read) {
			for i := range reads {
				if r := &reads[i]; len(r.Key) > 1 {
					r.Key = bytes.TrimRight(r.Key, " ")
				}
			}
		})
	}},
	{"a batch of gets keeps errors from before", "ManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, before []kv.Read) {
			for i := range reads {
				if reads[i].Err == nil {
					reads[i].Err = before[i].Err
				}
			}
		})
	}},
	{"a batch of gets keeps values from before", "ManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, before []kv.Read) {
			for i := range reads {
				if reads[i].Err != nil {
					reads[i].Value = before[i].Value
				}
			}
		})
	}},
	{"a batch of gets keeps versions from before", "ManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, before []kv.Read) {
			for i := range reads {
				if reads[i].Err != nil {
					reads[i].Version = before[i].Version
				}
			}
		})
	}},
	{"a batch of gets overwrites dst", "ManyGets", func(s kv.Store) kv.Store {
		return &faulty{Store: s, getMany: func(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
			return s.GetMany(ctx, dst[:0], reads, o)
		}}
	}},
	{"an empty batch of gets loses dst", "ManyGets", func(s kv.Store) kv.Store {
		return &faulty{Store: s, getMany: func(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
			if len(reads) == 0 {
				return nil
			}
			return s.GetMany(ctx, dst, reads, o)
		}}
	}},
	{"the values of a batch of gets overwrite each other", "ManyGets", func(s kv.Store) kv.Store {
		return &faulty{Store: s, getMany: func(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
			room := make([]byte, 0, kv.MaxValueBytes)
			for i := range reads {
				r := &reads[i]
				if r.Value, r.Version, r.Err = s.Get(ctx, room, r.Key, o); r.Err != nil {
					r.Value = nil
				}
			}
			return dst
		}}
	}},
	{"a batch of gets has no versions", "VersionsOfManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, _ []kv.Read) {
			for i := range reads {
				reads[i].Version = version.Tag{}
			}
		})
	}},
	{"a batch of gets is kept where the caller had it", "BorrowedReads", func(s kv.Store) kv.Store {
		var kept []kv.Read
		return &faulty{
			Store: s,
			getMany: func(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
				if kept == nil {
					defer func() { kept = slices.Clone(reads) }()
				}
				return s.GetMany(ctx, dst, reads, o)
			},
			scan: func(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
				for _, r := range kept {
					_, _ = s.Set(ctx, r.Key, r.Value, o.Options)
				}
				return s.Scan(ctx, o)
			},
		}
	}},
	{"a batch of gets lies where the last one lay", "BorrowedReads", func(s kv.Store) kv.Store {
		room := make([]byte, 0, 1<<20)
		return &faulty{Store: s, getMany: func(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
			s.GetMany(ctx, room, reads, o)
			return dst
		}}
	}},
	{"batches of gets are stale", "ManyGetsGrow", func(s kv.Store) kv.Store {
		var batches atomic.Int64
		return reread(s, func(reads, _ []kv.Read) {
			if r := &reads[len(reads)-1]; batches.Add(1)%5 == 4 {
				r.Value, r.Err = []byte("0"), nil
			}
		})
	}},
	{"a batch of gets that is too late has an unknown outcome", "DeadlinesOfManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, _ []kv.Read) {
			for i := range reads {
				if errors.Is(reads[i].Err, kv.ErrUnavailable) {
					reads[i].Err = &kv.Unavailable{Outcome: kv.Unknown, Reason: "the deadline has passed"}
				}
			}
		})
	}},
	{"half a batch of gets is missing instead of too late", "CancellationOfManyGets", func(s kv.Store) kv.Store {
		return reread(s, func(reads, _ []kv.Read) {
			for i := range reads[:len(reads)/2] {
				if errors.Is(reads[i].Err, kv.ErrUnavailable) {
					reads[i].Err = kv.ErrMissing
				}
			}
		})
	}},
}

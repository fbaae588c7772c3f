package kvtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"viakv/api/kv"
	"viakv/quorum/version"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sound is a store that passes all checks: the reference, with cursors that only the same store
// accepts.
type sound struct {
	kv.Store
	name string
}

var stores atomic.Int64

func newSound() kv.Store {
	return &sound{Store: &Reference{BatchSize: 100}, name: fmt.Sprintf("%08d.", stores.Add(1))}
}

func (s *sound) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	if o.Cursor != "" {
		var own bool
		if o.Cursor, own = strings.CutPrefix(o.Cursor, s.name); !own {
			return nil, kv.ErrBadCursor
		}
	}
	sc, err := s.Store.Scan(ctx, o)
	return &soundScanner{sc, s.name}, err
}

type soundScanner struct {
	kv.Scanner
	name string
}

func (s *soundScanner) Cursor(n int) string {
	if c := s.Scanner.Cursor(n); c != "" {
		return s.name + c
	}
	return ""
}

func TestSoundStorePasses(t *testing.T) {
	Run(t, func(*testing.T) kv.Store { return newSound() })
}

// recorder is a test that may fail without failing the test around it.
type recorder struct {
	testing.TB
	mu      sync.Mutex
	failure string
}

func (r *recorder) Helper()             {}
func (r *recorder) Logf(string, ...any) {}
func (r *recorder) Fatal(args ...any)   { r.fail(fmt.Sprint(args...)) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.fail(fmt.Sprintf(format, args...))
}

func (r *recorder) fail(text string) {
	r.mu.Lock()
	r.failure = text
	r.mu.Unlock()
	runtime.Goexit()
}

// faulty is a store with some methods replaced. Those that are nil are sound.
type faulty struct {
	kv.Store
	get     func(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error)
	getMany func(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte
	set     func(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error)
	setMany func(ctx context.Context, writes []kv.Write, o kv.Options)
	remove  func(ctx context.Context, key []byte, o kv.Options) error
	clear   func(ctx context.Context, o kv.Options) error
	scan    func(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error)
}

func (f *faulty) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	if f.get == nil {
		return f.Store.Get(ctx, dst, key, o)
	}
	return f.get(ctx, dst, key, o)
}

func (f *faulty) GetMany(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
	if f.getMany == nil {
		return f.Store.GetMany(ctx, dst, reads, o)
	}
	return f.getMany(ctx, dst, reads, o)
}

func (f *faulty) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	if f.set == nil {
		return f.Store.Set(ctx, key, value, o)
	}
	return f.set(ctx, key, value, o)
}

func (f *faulty) SetMany(ctx context.Context, writes []kv.Write, o kv.Options) {
	if f.setMany == nil {
		f.Store.SetMany(ctx, writes, o)
		return
	}
	f.setMany(ctx, writes, o)
}

func (f *faulty) Remove(ctx context.Context, key []byte, o kv.Options) error {
	if f.remove == nil {
		return f.Store.Remove(ctx, key, o)
	}
	return f.remove(ctx, key, o)
}

func (f *faulty) Clear(ctx context.Context, o kv.Options) error {
	if f.clear == nil {
		return f.Store.Clear(ctx, o)
	}
	return f.clear(ctx, o)
}

func (f *faulty) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	if f.scan == nil {
		return f.Store.Scan(ctx, o)
	}
	return f.scan(ctx, o)
}

// faultyScanner changes batches and cursors.
type faultyScanner struct {
	kv.Scanner
	batch  func(b *kv.Batch)
	cursor func(n int) string
}

func (f *faultyScanner) Next(ctx context.Context, b *kv.Batch) (bool, error) {
	more, err := f.Scanner.Next(ctx, b)
	if more && f.batch != nil {
		f.batch(b)
	}
	return more, err
}

func (f *faultyScanner) Cursor(n int) string {
	if f.cursor != nil {
		return f.cursor(n)
	}
	return f.Scanner.Cursor(n)
}

// rekeyed returns a store that applies a change to every key that goes in.
func rekeyed(s kv.Store, change func(string) string) kv.Store {
	c := func(k []byte) []byte { return []byte(change(string(k))) }
	return &faulty{
		Store: s,
		get: func(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
			return s.Get(ctx, dst, c(key), o)
		},
		set: func(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
			return s.Set(ctx, c(key), value, o)
		},
		remove: func(ctx context.Context, key []byte, o kv.Options) error { return s.Remove(ctx, c(key), o) },
	}
}

// rescanned returns a store that applies a change to every scan.
func rescanned(s kv.Store, change func(sc kv.Scanner, o kv.ScanOptions) kv.Scanner) kv.Store {
	return &faulty{Store: s, scan: func(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
		sc, err := s.Scan(ctx, o)
		if err != nil {
			return nil, err
		}
		return change(sc, o), nil
	}}
}

// fault is a fault and the check that must find it.
type fault struct {
	name, check string
	open        func(s kv.Store) kv.Store // the store with this fault, over a sound one
}

// TestFaultsAreFound gives each fault to the check that must find it.
func TestFaultsAreFound(t *testing.T) {
	faults := []fault{
		{"remove of nothing succeeds", "Contract", func(s kv.Store) kv.Store {
			return &faulty{Store: s, remove: func(ctx context.Context, key []byte, o kv.Options) error {
				if err := s.Remove(ctx, key, o); !errors.Is(err, kv.ErrMissing) {
					return err
				}
				return nil
			}}
		}},
		{"set keeps the first value", "Contract", func(s kv.Store) kv.Store {
			return &faulty{Store: s, set: func(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
				if tag, err := s.Has(ctx, key, o); err == nil {
					return tag, nil
				}
				return s.Set(ctx, key, value, o)
			}}
		}},
		{"keys without regard to case", "OddKeysAndValues", func(s kv.Store) kv.Store { return rekeyed(s, strings.ToLower) }},
		{"keys end at NUL", "OddKeysAndValues", func(s kv.Store) kv.Store {
			return rekeyed(s, func(k string) string { return k[:1] + strings.SplitN(k[1:], "\x00", 2)[0] })
		}},
		{"keys lose trailing spaces", "OddKeysAndValues", func(s kv.Store) kv.Store {
			return rekeyed(s, func(k string) string { return k[:1] + strings.TrimRight(k[1:], " ") })
		}},
		{"values lose NUL", "OddKeysAndValues", func(s kv.Store) kv.Store {
			return &faulty{Store: s, set: func(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
				return s.Set(ctx, key, []byte(strings.ReplaceAll(string(value), "\x00", "")), o)
			}}
		}},
		{"remove removes a neighbour", "AgainstMap", func(s kv.Store) kv.Store {
			return &faulty{Store: s, remove: func(ctx context.Context, key []byte, o kv.Options) error {
				_ = s.Remove(ctx, append([]byte("a"), key...), o)
				return s.Remove(ctx, key, o)
			}}
		}},
		{"versions fall", "Versions", func(s kv.Store) kv.Store {
			n := uint64(1000)
			return &faulty{Store: s, set: func(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
				_, err := s.Set(ctx, key, value, o)
				n--
				return version.Tag{Counter: n}, err
			}}
		}},
		{"values are kept where the caller had them", "BorrowedSlices", func(s kv.Store) kv.Store {
			var kept []byte
			return &faulty{
				Store: s,
				set: func(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
					kept = value
					return s.Set(ctx, key, value, o)
				},
				get: func(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
					_, tag, err := s.Get(ctx, nil, key, o)
					if err != nil {
						return dst, tag, err
					}
					return append(dst, kept...), tag, nil
				},
			}
		}},
		{"get overwrites dst", "BorrowedSlices", func(s kv.Store) kv.Store {
			return &faulty{Store: s, get: func(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
				return s.Get(ctx, dst[:0], key, o)
			}}
		}},
		{"a scan loses the last pair of a batch", "Scan", func(s kv.Store) kv.Store {
			return rescanned(s, func(sc kv.Scanner, _ kv.ScanOptions) kv.Scanner {
				return &faultyScanner{Scanner: sc, batch: func(b *kv.Batch) {
					if len(b.Pairs) > 1 {
						b.Pairs = b.Pairs[:len(b.Pairs)-1]
					}
				}}
			})
		}},
		{"a scan repeats a pair", "Scan", func(s kv.Store) kv.Store {
			return rescanned(s, func(sc kv.Scanner, _ kv.ScanOptions) kv.Scanner {
				return &faultyScanner{Scanner: sc, batch: func(b *kv.Batch) { b.Pairs = append(b.Pairs, b.Pairs[0]) }}
			})
		}},
		{"a scan of keys brings values", "Scan", func(s kv.Store) kv.Store {
			return &faulty{Store: s, scan: func(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
				o.Values = true
				return s.Scan(ctx, o)
			}}
		}},
		{"prefixes are ignored", "ScanPrefix", func(s kv.Store) kv.Store {
			return &faulty{Store: s, scan: func(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
				o.Prefix = ""
				return s.Scan(ctx, o)
			}}
		}},
		{"a cursor repeats a pair", "ScanPages", func(s kv.Store) kv.Store {
			return rescanned(s, func(sc kv.Scanner, _ kv.ScanOptions) kv.Scanner {
				return &faultyScanner{Scanner: sc, cursor: func(n int) string { return sc.Cursor(max(n-1, 1)) }}
			})
		}},
		{"a cursor at the end", "Scan", func(s kv.Store) kv.Store {
			return rescanned(s, func(sc kv.Scanner, _ kv.ScanOptions) kv.Scanner {
				return &faultyScanner{Scanner: sc, cursor: func(int) string { return "more" }}
			})
		}},
		{"stable keys are lost beside writes", "ScanUnderWrites", func(s kv.Store) kv.Store {
			return rescanned(s, func(sc kv.Scanner, o kv.ScanOptions) kv.Scanner {
				return &faultyScanner{Scanner: sc, batch: func(b *kv.Batch) {
					churn := func(p kv.Pair) bool { return strings.Contains(string(p.Key), "churn") }
					for i, p := range b.Pairs[:len(b.Pairs)-1] {
						// A position in the order has this fault when a deleted row shifts it.
						if churn(p) && !churn(b.Pairs[i+1]) {
							b.Pairs = append(b.Pairs[:i+1], b.Pairs[i+2:]...)
							return
						}
					}
				}}
			})
		}},
		{"a snapshot is none", "SnapshotUnderWrites", func(s kv.Store) kv.Store {
			return &faulty{Store: s, scan: func(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
				o.Snapshot = false
				return s.Scan(ctx, o)
			}}
		}},
		{"a snapshot of a store at rest moves", "Snapshot", func(s kv.Store) kv.Store {
			return &faulty{Store: s, scan: func(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
				if o.Snapshot {
					return nil, kv.ErrSnapshotMoved
				}
				return s.Scan(ctx, o)
			}}
		}},
		{"a bad cursor begins anew", "ForgedCursors", func(s kv.Store) kv.Store {
			return &faulty{Store: s, scan: func(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
				sc, err := s.Scan(ctx, o)
				if errors.Is(err, kv.ErrBadCursor) {
					o.Cursor = ""
					return s.Scan(ctx, o)
				}
				return sc, err
			}}
		}},
		{"a foreign cursor is taken", "ForeignCursor", func(kv.Store) kv.Store { return &Reference{BatchSize: 10} }},
		{"a cursor outlives a clear", "Clear", func(s kv.Store) kv.Store {
			return &faulty{Store: s, scan: func(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
				sc, err := s.Scan(ctx, o)
				if err != nil && o.Cursor != "" {
					o.Cursor = ""
					return s.Scan(ctx, o)
				}
				return sc, err
			}}
		}},
		{"a clear leaves keys", "Clear", func(s kv.Store) kv.Store {
			return &faulty{Store: s, clear: func(ctx context.Context, o kv.Options) error { return ctx.Err() }}
		}},
		{"a cleared store brings a scan to an error of another kind", "ClearDuringScan", func(s kv.Store) kv.Store {
			return &faulty{Store: s, scan: func(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
				sc, err := s.Scan(ctx, o)
				return &errorScanner{sc}, err
			}}
		}},
		{"a clear that ends before its work", "ClearUnderLoad", func(s kv.Store) kv.Store {
			return &faulty{Store: s, clear: func(ctx context.Context, o kv.Options) error { return nil }}
		}},
		{"two removes of one value", "OverlappingRemoves", func(s kv.Store) kv.Store {
			return &faulty{Store: s, remove: func(ctx context.Context, key []byte, o kv.Options) error {
				if _, err := s.Has(ctx, key, o); err != nil {
					return err
				}
				runtime.Gosched()
				if err := s.Remove(ctx, key, o); !errors.Is(err, kv.ErrMissing) {
					return err
				}
				return nil
			}}
		}},
		{"more removes than sets", "RemovesAndSets", func(s kv.Store) kv.Store {
			return &faulty{Store: s, remove: func(ctx context.Context, key []byte, o kv.Options) error {
				_ = s.Remove(ctx, key, o)
				return nil
			}}
		}},
		{"reads are stale", "ReadsGrow", func(s kv.Store) kv.Store {
			var reads atomic.Int64
			return &faulty{Store: s, get: func(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
				if reads.Add(1)%5 == 4 {
					return append(dst, '0'), version.Tag{}, nil
				}
				return s.Get(ctx, dst, key, o)
			}}
		}},
		{"outcome none of a write that happened", "Deadlines", func(s kv.Store) kv.Store {
			return &faulty{Store: s, set: func(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
				tag, err := s.Set(ctx, key, value, o)
				if errors.Is(err, kv.ErrUnavailable) {
					_, _ = s.Set(ctx, key, value, kv.Options{})
				}
				return tag, err
			}}
		}},
		{"missing instead of too late", "Cancellation", func(s kv.Store) kv.Store {
			return &faulty{Store: s, get: func(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
				v, tag, err := s.Get(ctx, dst, key, o)
				if errors.Is(err, kv.ErrUnavailable) {
					err = kv.ErrMissing
				}
				return v, tag, err
			}}
		}},
	}
	// Each fault must be found by its check, and each check must have a fault that it finds.
	found := map[string]bool{}
	for _, f := range slices.Concat(faults, batchFaults, readFaults) {
		t.Run(f.name, func(t *testing.T) {
			for _, c := range checks {
				if c.name != f.check {
					continue
				}
				found[c.name] = true
				r := &recorder{TB: t}
				done := make(chan struct{})
				go func() {
					defer close(done)
					c.run(r, func(testing.TB) kv.Store { return f.open(newSound()) })
				}()
				<-done
				if r.failure == "" {
					t.Fatalf("%s does not find it", c.name)
				}
				t.Log(r.failure)
			}
		})
	}
	for _, c := range checks {
		if !found[c.name] {
			t.Errorf("no fault for the check %s: it is not shown that it can fail", c.name)
		}
	}
}

// errorScanner fails like a database whose table is gone, and not with ErrCleared.
type errorScanner struct{ kv.Scanner }

func (e *errorScanner) Next(ctx context.Context, b *kv.Batch) (bool, error) {
	more, err := e.Scanner.Next(ctx, b)
	if errors.Is(err, kv.ErrCleared) {
		err = errors.New("no such table")
	}
	return more, err
}

package storage

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// hugeFlag makes BenchmarkLookups and BenchmarkScan use huge pages.
var hugeFlag = flag.Bool("huge", false, "BenchmarkLookups and BenchmarkScan use huge pages")

var keysFlag = flag.Int("keys", keysDefault(), "keys of the Figures benchmark (also VIAKV_BENCH_KEYS)")

func keysDefault() int {
	if n, err := strconv.Atoi(os.Getenv("VIAKV_BENCH_KEYS")); err == nil && n > 0 {
		return n
	}
	return 1_000_000
}

// subject is a store that is measured.
type subject interface {
	set(h keyspace.Hash, key []byte, rec *version.Record)
	get(h keyspace.Hash, key, dst []byte) []byte
	remove(h keyspace.Hash, key []byte)
	scan(f func(key, value []byte)) // visits a copy of every pair
	close()
}

type storeSubject struct{ s *Store }

func (x storeSubject) set(h keyspace.Hash, key []byte, rec *version.Record) {
	if _, err := x.s.Put(0, h, key, rec); err != nil {
		panic(err)
	}
}

func (x storeSubject) get(h keyspace.Hash, key, dst []byte) []byte {
	_, dst, _ = x.s.Get(0, h, key, dst[:0])
	return dst
}

func (x storeSubject) remove(h keyspace.Hash, key []byte) {
	var room [version.MaxMetaBytes]byte
	rec, _, _ := x.s.Tag(0, h, key, room[:0])
	owner := version.Operation{Incarnation: 1, Sequence: 1}
	tombstone := version.Record{Tag: rec.Tag.Tombstone(), Owner: owner}
	_, _ = x.s.Vote(0, h, key, &tombstone)
	_, _ = x.s.Purge(0, []replica.Tombstone{{Key: key, Tag: tombstone.Tag}})
}

func (x storeSubject) scan(f func(key, value []byte)) {
	var b Bucket
	for at := keyspace.Rank(0); ; {
		_ = x.s.Copy(0, at, &b)
		for _, r := range b.records {
			_ = b.seed.Hash(r.Key).Rank() // a part of every scan
			if rec := parse(r.Meta); rec.Live() {
				f(r.Key, r.Value)
			}
		}
		if at = b.Range.To; at == 0 {
			return
		}
	}
}

func (x storeSubject) close() { x.s.Close() }

// mapSubject is the baseline: 256 maps from a key to one slice of metadata and value, merged by the
// same rule as in the store.
type mapSubject struct {
	shards [keyspace.Partitions]struct {
		sync.RWMutex
		m map[string][]byte
		_ [64]byte
	}
}

func newMapSubject() *mapSubject {
	x := &mapSubject{}
	for i := range x.shards {
		x.shards[i].m = map[string][]byte{}
	}
	return x
}

func (x *mapSubject) set(h keyspace.Hash, key []byte, rec *version.Record) {
	var room [version.MaxMetaBytes]byte
	meta := version.AppendMeta(room[:0], rec)
	s := &x.shards[h.Partition()]
	s.Lock()
	defer s.Unlock()
	have := s.m[string(key)]
	if have != nil {
		r, _ := version.ParseMeta(have[1 : 1+have[0]])
		if !version.Changes(r.Tag, r.Owner, rec.Tag, rec.Owner) {
			return
		}
	}
	if len(have) != 1+len(meta)+len(rec.Value) {
		have = make([]byte, 1+len(meta)+len(rec.Value))
		s.m[string(key)] = have
	}
	have[0] = byte(len(meta))
	copy(have[1:], meta)
	copy(have[1+len(meta):], rec.Value)
}

func (x *mapSubject) get(h keyspace.Hash, key, dst []byte) []byte {
	s := &x.shards[h.Partition()]
	s.RLock()
	dst = append(dst[:0], s.m[string(key)]...)
	s.RUnlock()
	if len(dst) > 0 {
		_, _ = version.ParseMeta(dst[1 : 1+dst[0]])
	}
	return dst
}

func (x *mapSubject) remove(h keyspace.Hash, key []byte) {
	s := &x.shards[h.Partition()]
	s.Lock()
	delete(s.m, string(key))
	s.Unlock()
}

func (x *mapSubject) scan(f func(key, value []byte)) {
	var buf []byte
	var ends []int
	for i := range x.shards {
		s := &x.shards[i]
		buf, ends = buf[:0], ends[:0]
		s.RLock()
		for k, v := range s.m {
			buf = append(append(buf, k...), v[1+v[0]:]...)
			ends = append(ends, len(buf)-len(v)+1+int(v[0]), len(buf))
		}
		s.RUnlock()
		at := 0
		for i := 0; i < len(ends); i += 2 {
			f(buf[at:ends[i]], buf[ends[i]:ends[i+1]])
			at = ends[i+1]
		}
	}
}

func (x *mapSubject) close() {}

var benchSeed = keyspace.Seed{99}

// workload makes keys of 16 bytes, and records with values of a given length. It allocates nothing.
type workload struct {
	key     [16]byte
	rec     version.Record
	payload [256]byte
	vector  [16]byte
}

func newWorkload() *workload {
	w := &workload{}
	for i := range w.payload {
		w.payload[i] = byte('a' + i%26)
	}
	// An entry of another incarnation, so that a vector is stored, too. A key that two nodes write
	// carries such a vector.
	w.rec.Vector = append(w.vector[:0], 2, 0xd0, 0x86, 0x03)
	return w
}

func (w *workload) at(i int) keyspace.Hash {
	copy(w.key[:], "key-")
	binary.BigEndian.PutUint64(w.key[8:], uint64(i)*0x9e3779b97f4a7c15)
	return benchSeed.Hash(w.key[:])
}

func (w *workload) record(counter, value int) *version.Record {
	w.rec.Tag = version.Tag{Counter: uint64(counter) + 1, Incarnation: 1}
	w.rec.Value = w.payload[:value]
	return &w.rec
}

// loaded returns a store with the first n keys of a workload, and that workload.
func loaded(b *testing.B, cfg Config, n int) (*Store, *workload) {
	s := open(b, cfg)
	load(storeSubject{s}, n)
	return s, newWorkload()
}

// raw returns the number of bytes of one record: key, value and metadata.
func (w *workload) raw(value int) int {
	var room [version.MaxMetaBytes]byte
	return len(w.key) + value + len(version.AppendMeta(room[:0], &w.rec))
}

func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// both runs f in two goroutines, each over half of n, and returns how long that took.
func both(n int, f func(from, to int)) time.Duration {
	begin := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() { f(0, n/2) })
	wg.Go(func() { f(n/2, n) })
	wg.Wait()
	return time.Since(begin)
}

// load sets the first n keys of a workload, with values of 100 bytes, and returns how long that
// took.
func load(x subject, n int) time.Duration {
	return both(n, func(from, to int) {
		w := newWorkload()
		for i := from; i < to; i++ {
			h := w.at(i)
			x.set(h, w.key[:], w.record(i, 100))
		}
	})
}

// collectorShare returns a function that returns the collector's share of the CPU time since this
// call.
func collectorShare() func() float64 {
	read := func() (collector, all float64) {
		runtime.GC() // the runtime brings these metrics up to date at the end of a cycle
		m := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/user:cpu-seconds"}}
		metrics.Read(m)
		return m[0].Value.Float64(), m[0].Value.Float64() + m[1].Value.Float64()
	}
	collector, all := read()
	return func() float64 {
		c, a := read()
		return (c - collector) / (a - all)
	}
}

// BenchmarkFigures measures the figures that the store is held to, each beside a sharded Go map of
// the same records:
//
//	go test ./node/storage -run '^$' -bench Figures -benchtime 1x -keys 10000000
//
// Times depend on the machine and on its other load, so only the ratios within one run count. Each
// subject is loaded, measured and dropped before the next, so that neither pays for the other's
// garbage.
func BenchmarkFigures(b *testing.B) {
	store := func(huge bool) func() subject {
		return func() subject {
			return storeSubject{newStore(Config{Seed: benchSeed, DigestKey: [2]uint64{1, 2}, HugePages: huge}, bucketTarget)}
		}
	}
	for _, c := range []struct {
		name string
		make func() subject
	}{
		{"map", func() subject { return newMapSubject() }},
		{"store", store(false)},
		{"store-huge-pages", store(true)},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				figures(b, c.make)
			}
		})
	}
}

func figures(b *testing.B, build func() subject) {
	n := *keysFlag
	debug.FreeOSMemory() // gives back what the previous subject has left
	before := residentBytes()
	share := collectorShare()
	x := build()
	defer x.close()

	// Load all keys, and relate the resident memory to them.
	took := load(x, n)
	w := newWorkload()
	w.record(n, 100)
	b.ReportMetric(float64(took.Nanoseconds())/float64(n), "load-ns/key")
	b.ReportMetric(float64(residentBytes()-before)/float64(n), "rss-B/key")
	b.ReportMetric(float64(w.raw(100)), "raw-B/key")

	// Measure lookups and overwrites, one at a time.
	ops := min(n, 2_000_000)
	one := func(name string, f func(w *workload, r *rand.Rand)) {
		w, r := newWorkload(), rand.New(rand.NewPCG(1, 2))
		begin := time.Now()
		for range ops {
			f(w, r)
		}
		b.ReportMetric(float64(time.Since(begin).Nanoseconds())/float64(ops), name)
	}
	dst := make([]byte, 0, 4096)
	one("get-ns", func(w *workload, r *rand.Rand) {
		h := w.at(r.IntN(n))
		dst = x.get(h, w.key[:], dst)
	})
	counter := n
	one("set-ns", func(w *workload, r *rand.Rand) {
		counter++
		h := w.at(r.IntN(n))
		x.set(h, w.key[:], w.record(counter, 100))
	})

	// Then the slow tail, scans and churn.
	tail(b, x, n, &counter)
	b.ReportMetric(share()*100, "gc-%cpu")
	scans(b, x, n, &counter)
	churn(b, x, n, &counter, before)
}

// tail measures sets of changing lengths, by two goroutines.
func tail(b *testing.B, x subject, n int, counter *int) {
	const each = 400_000
	var all [2][]int64
	base := *counter
	var half atomic.Int32
	both(2*each, func(from, to int) {
		w, r := newWorkload(), rand.New(rand.NewPCG(uint64(from), 3))
		times := make([]int64, 0, each)
		for i := from; i < to; i++ {
			h := w.at(r.IntN(n))
			rec := w.record(base+i, 80+r.IntN(41))
			begin := time.Now()
			x.set(h, w.key[:], rec)
			times = append(times, time.Since(begin).Nanoseconds())
		}
		all[half.Add(1)-1] = times
	})
	*counter += 2 * each
	times := append(all[0], all[1]...)
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)*999/1000])/1e3, "set-p99.9-us")
	b.ReportMetric(float64(times[len(times)*9999/10000])/1e3, "set-p99.99-us")
}

// scans measures a walk over all pairs while another goroutine sets.
func scans(b *testing.B, x subject, n int, counter *int) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		w, r := newWorkload(), rand.New(rand.NewPCG(5, 5))
		for !stop.Load() {
			*counter++
			h := w.at(r.IntN(n))
			x.set(h, w.key[:], w.record(*counter, 80+r.IntN(41)))
		}
	})
	var bytes, pairs int64
	begin := time.Now()
	for time.Since(begin) < 500*time.Millisecond {
		pairs = 0
		x.scan(func(key, value []byte) { bytes += int64(len(key) + len(value)); pairs++ })
	}
	took := time.Since(begin)
	stop.Store(true)
	wg.Wait()
	if pairs != int64(n) {
		b.Fatalf("a scan met %d of %d keys", pairs, n)
	}
	b.ReportMetric(float64(bytes)/took.Seconds()/1e9, "scan-GB/s")
}

// churn overwrites everything twice with other lengths, removes half, and relates the resident
// memory to the live records.
func churn(b *testing.B, x subject, n int, counter *int, before int64) {
	base := *counter
	for round := range 2 {
		both(n, func(from, to int) {
			w, r := newWorkload(), rand.New(rand.NewPCG(uint64(round), uint64(from)))
			for i := from; i < to; i++ {
				h := w.at(i)
				x.set(h, w.key[:], w.record(base+round*n+i, 20+r.IntN(161)))
			}
		})
	}
	var live atomic.Int64
	both(n, func(from, to int) {
		w, r := newWorkload(), rand.New(rand.NewPCG(7, uint64(from)))
		for i := from; i < to; i++ {
			h := w.at(i)
			if i%2 == 0 {
				x.remove(h, w.key[:])
				continue
			}
			size := 150 + r.IntN(101)
			x.set(h, w.key[:], w.record(base+2*n+i, size))
			live.Add(int64(w.raw(size)))
		}
	})
	b.ReportMetric(float64(residentBytes()-before)/float64(live.Load()), "churn-rss/live")
	if s, ok := x.(storeSubject); ok {
		st, l := s.s.Stats(), float64(live.Load())
		b.ReportMetric(float64(st.Bytes)/l, "churn-bytes/live")
		b.ReportMetric(float64(st.Extents.Blocks)/l, "churn-blocks/live")
		b.ReportMetric(float64(st.UsedBytes)/l, "churn-used/live")
	}
}

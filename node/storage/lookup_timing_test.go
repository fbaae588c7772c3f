package storage

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
	"viakv/ring/keyspace"
)

// BenchmarkLookups takes turns between map and store in one run, so that both see the same phases
// of the machine. It reports the ratios.
func BenchmarkLookups(b *testing.B) {
	n := *keysFlag
	s := open(b, Config{Seed: benchSeed, DigestKey: [2]uint64{1, 2}, HugePages: *hugeFlag})
	subjects := []subject{newMapSubject(), storeSubject{s}}
	for _, x := range subjects {
		load(x, n)
	}
	const turn = 200_000
	var gets, sets, resizes [2]time.Duration
	dst := make([]byte, 0, 4096)
	counter := n
	b.ResetTimer()
	for range b.N {
		for k, x := range subjects {
			w, r := newWorkload(), rand.New(rand.NewPCG(uint64(counter), 2))
			begin := time.Now()
			for range turn {
				h := w.at(r.IntN(n))
				dst = x.get(h, w.key[:], dst)
			}
			gets[k] += time.Since(begin)
			begin = time.Now()
			for range turn {
				counter++
				h := w.at(r.IntN(n))
				x.set(h, w.key[:], w.record(counter, 100))
			}
			sets[k] += time.Since(begin)
			begin = time.Now()
			for range turn {
				counter++
				h := w.at(r.IntN(n))
				x.set(h, w.key[:], w.record(counter, 80+r.IntN(41)))
			}
			resizes[k] += time.Since(begin)
		}
	}
	ns := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / turn / float64(b.N) }
	b.ReportMetric(ns(gets[1]), "get-ns")
	b.ReportMetric(ns(gets[1])/ns(gets[0]), "get/map")
	b.ReportMetric(ns(sets[1]), "set-ns")
	b.ReportMetric(ns(sets[1])/ns(sets[0]), "set/map")
	b.ReportMetric(ns(resizes[1])/ns(resizes[0]), "resize/map")
}

// BenchmarkScan measures walks over all pairs, without writes beside them.
func BenchmarkScan(b *testing.B) {
	n := *keysFlag
	s, w := loaded(b, Config{Seed: benchSeed, HugePages: *hugeFlag}, n)
	v := &replica.View{Slots: 3, Counter: new(watermark.Counter), Marks: new(watermark.Marks)}
	for i := range 3 { // each member has written a third of the keys
		member := version.Incarnation(i + 1)
		v.Members = append(v.Members, replica.Member{Incarnation: member})
		for k := i; k < n; k += 3 {
			h, rec := w.at(k), w.record(n+k, 100)
			rec.Tag.Incarnation = member
			_, _ = s.Put(0, h, w.key[:], rec)
		}
		v.Marks.Learn(member, uint64(2*n+1))
	}
	v.Counter.Observe(uint64(2 * n))
	var c Bucket
	var pairs []kv.Pair
	for name, use := range map[string]func(){
		"sorted": func() { c.entries(func(replica.Entry) bool { return true }) },
		"pairs":  func() { pairs, _ = c.AppendLive(v, pairs[:0]) },
		"copies": func() {},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(n) * 116)
			for range b.N {
				for at := keyspace.Rank(0); ; {
					_ = s.Copy(0, at, &c)
					use()
					if at = c.Range.To; at == 0 {
						break
					}
				}
			}
		})
	}
}

// BenchmarkHot measures the work of an operation itself, on a store that fits the caches.
func BenchmarkHot(b *testing.B) {
	const n = 5000
	s, w := loaded(b, Config{Seed: benchSeed}, n)
	dst := make([]byte, 0, 4096)
	b.Run("hash", func(b *testing.B) {
		for i := range b.N {
			_ = w.at(i % n)
		}
	})
	b.Run("get", func(b *testing.B) {
		for i := range b.N {
			h := w.at(i % n)
			_, _, _ = s.Get(0, h, w.key[:], dst)
		}
	})
	counter := n
	b.Run("set", func(b *testing.B) {
		for i := range b.N {
			counter++
			h := w.at(i % n)
			_, _ = s.Put(0, h, w.key[:], w.record(counter, 100))
		}
	})
	b.Run("set-resize", func(b *testing.B) {
		for i := range b.N {
			counter++
			h := w.at(i % n)
			_, _ = s.Put(0, h, w.key[:], w.record(counter, 80+counter*7%41))
		}
	})
}

// BenchmarkDigest measures the part of a set that keeps the digest up to date: two records' digests
// and the sums.
func BenchmarkDigest(b *testing.B) {
	k := digestKey{1, 2}
	var bk bucket
	tab := table{}
	tag := version.Tag{Counter: 1, Incarnation: 3}
	for i := range b.N {
		was := k.of(keyspace.Hash(i), tag, version.Contested)
		tag.Counter++
		tab.account(&bk, k.of(keyspace.Hash(i), tag, version.Contested), was)
	}
	if bk.sum != tab.digest.Sum {
		b.Fatal(fmt.Sprint(bk.digest(), tab.digest))
	}
}

// BenchmarkMiss measures the lookup of a key that is not there.
func BenchmarkMiss(b *testing.B) {
	const n = 100_000
	s, w := loaded(b, Config{Seed: benchSeed}, n)
	dst := make([]byte, 0, 4096)
	b.ResetTimer()
	for i := range b.N {
		h := w.at(n + i)
		if _, _, err := s.Get(0, h, w.key[:], dst); err != nil {
			b.Fatal(err)
		}
	}
}

package storage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// BenchmarkWarm loads a million keys in batches of 4,096, with and without warming the store for
// them.
func BenchmarkWarm(b *testing.B) {
	type hashed struct {
		hash keyspace.Hash
		key  []byte
	}
	keys := make([]hashed, 1_000_000)
	for i := range keys {
		key := fmt.Appendf(nil, "key-%020d", i)
		keys[i] = hashed{testSeed.Hash(key), key}
	}
	for batch := range slices.Chunk(keys, 4096) {
		slices.SortFunc(batch, func(a, b hashed) int { return int(a.hash.Partition()) - int(b.hash.Partition()) })
	}
	rec := live(1, strings.Repeat("v", 128))
	for _, warm := range []bool{false, true} {
		b.Run(fmt.Sprintf("warm=%v", warm), func(b *testing.B) {
			for range b.N {
				s := open(b, testConfig)
				var hashes []keyspace.Hash
				for some := range slices.Chunk(keys, replica.MaxWarm) {
					hashes = hashes[:0]
					for i := range some {
						hashes = append(hashes, some[i].hash)
					}
					if warm {
						s.Warm(0, hashes)
					}
					for i := range some {
						if _, err := s.Put(0, some[i].hash, some[i].key, &rec); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/key")
		})
	}
}

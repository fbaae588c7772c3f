package keyspace

import (
	"fmt"
	"testing"
)

// BenchmarkHash compares the keyed hash with seeded xxhash64.
func BenchmarkHash(b *testing.B) {
	for _, n := range []int{8, 24, 64, 256} {
		var keys [16][]byte
		for i := range keys {
			keys[i] = make([]byte, n)
			keys[i][0] = byte(i)
		}
		for name, hash := range map[string]func([]byte) Hash{"siphash": Seed{1, 2}.Hash, "xxhash": Seed{1, 2}.weak} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for i := range b.N {
					_ = hash(keys[i&15])
				}
			})
		}
	}
}

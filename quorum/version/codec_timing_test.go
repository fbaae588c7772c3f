package version

import "testing"

// BenchmarkParseMeta decodes the three kinds of metadata that a store meets: of a key that one node
// writes, of a key that two nodes write, and of a tombstone.
func BenchmarkParseMeta(b *testing.B) {
	for name, r := range map[string]Record{
		"plain":     {Tag: Tag{1, 1_000_000, 4, false}},
		"vector":    {Tag: Tag{1, 1_000_000, 4, false}, Vector: Vector{2, 0xd0, 0x86, 0x03}},
		"tombstone": {Tag: Tag{1, 1_000_000, 4, true}, Owner: Operation{4, 70_000}},
	} {
		meta := AppendMeta(nil, &r)
		b.Run(name, func(b *testing.B) {
			for range b.N {
				if _, err := ParseMeta(meta); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendMeta(b *testing.B) {
	r := Record{Tag: Tag{1, 1_000_000, 4, false}, Vector: Vector{2, 0xd0, 0x86, 0x03}}
	dst := make([]byte, 0, MaxMetaBytes)
	for range b.N {
		dst = AppendMeta(dst[:0], &r)
	}
}

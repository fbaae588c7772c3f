package replica

import (
	"testing"

	"pgregory.net/rapid"
)

// Digests of disjoint sets add up in any order, and a part can be subtracted again. An encoded
// digest decodes to itself.
func TestDigestsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) Digest {
			return Digest{
				Records: rapid.Uint64().Draw(t, name), Tombstones: rapid.Uint64().Draw(t, name),
				Sum: [2]uint64{rapid.Uint64().Draw(t, name), rapid.Uint64().Draw(t, name)},
			}
		}
		a, b, c := draw("a"), draw("b"), draw("c")
		if a.Add(b).Add(c) != c.Add(a).Add(b) || a.Add(b).Sub(b) != a || a.Sub(a) != (Digest{}) {
			t.Fatalf("%v, %v and %v do not add up", a, b, c)
		}
		if back := ParseDigest([DigestBytes]byte(a.Append(nil))); back != a {
			t.Fatalf("%v came back as %v", a, back)
		}
	})
}

func TestDigestString(t *testing.T) {
	d := Digest{Records: 12, Tombstones: 2, Sum: [2]uint64{0x12, 0xab}}
	if got, want := d.String(), "12 records (2 tombstones) 0000000000000012:00000000000000ab"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

package scan

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/bits"
	"testing"

	"viakv/api/kv"
	"viakv/ring/keyspace"
)

// K1: a rank shows most of its key's hash. So no cursor that a scan gives out may show a rank. The
// test checks cursors in the middle of a page, and those at the end of a round, which have no key.
func TestCursorsShowNoRank(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(1000)
	sc, v := s.scan(0, kv.ScanOptions{}), s.Views[0].Current()
	var b kv.Batch
	cursors, bare := 0, 0
	for {
		ok, err := sc.Next(context.Background(), &b)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		for n := range len(b.Pairs) + 1 {
			text := sc.Cursor(n)
			if text == "" {
				continue
			}
			cursors++
			place, err := parseCursor(text, v.Cluster, v.CursorKey, 0, &kv.ScanOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(place.Key) == 0 {
				bare++
			}
			raw, _ := kv.DecodeCursor(text)
			if place.Rank != 0 && shows(raw[cursorCode:], place.Rank) {
				t.Fatalf("the cursor %x shows the rank %016x", raw, uint64(place.Rank))
			}
		}
	}
	if cursors < 1000 || bare < 2 {
		t.Errorf("%d cursors, %d of them without a key", cursors, bare)
	}
}

// shows reports whether half of a rank can be read in some bytes, in either byte order.
func shows(raw []byte, r keyspace.Rank) bool {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		rank := order.AppendUint64(nil, uint64(r))
		for i := 0; i+4 <= len(rank); i++ {
			if bytes.Contains(raw, rank[i:i+4]) {
				return true
			}
		}
	}
	return false
}

// The sealed part looks like noise. For two ranks that differ in one bit, about half of all bits
// differ, in every position.
func TestSealedCursorsAreNoise(t *testing.T) {
	o := &kv.ScanOptions{Values: true}
	sealed := func(r keyspace.Rank) []byte {
		b, _ := kv.DecodeCursor(appendCursor(keyspace.Place{Rank: r, Key: []byte("key")}, 1, [16]byte{5}, 3, o))
		return b[cursorCode:]
	}
	const tries = 64
	var differ [(16 + 16 + 3) * 8]int
	for i := range tries {
		r := keyspace.Rank(0x0123456789abcdef) * keyspace.Rank(2*i+1)
		a, b := sealed(r), sealed(r^1<<i)
		if len(a) != len(differ)/8 || len(b) != len(a) {
			t.Fatalf("%d and %d bytes", len(a), len(b))
		}
		for k := range a {
			for x := a[k] ^ b[k]; x != 0; x &= x - 1 {
				differ[8*k+bits.TrailingZeros8(x)]++
			}
		}
	}
	for bit, n := range differ { // a fair coin fails this check once in 10^8
		if n < 10 || n > tries-10 {
			t.Errorf("bit %d differs in %d of %d pairs", bit, n, tries)
		}
	}
}

// A place has one cursor, whichever node makes it. So pages can be compared and cached.
func TestAPlaceHasOneCursor(t *testing.T) {
	o := &kv.ScanOptions{Prefix: "p"}
	p := keyspace.Place{Rank: 1 << 50, Key: []byte("pear")}
	if a, b := appendCursor(p, 1, [16]byte{5}, 3, o), appendCursor(p, 1, [16]byte{5}, 3, o); a != b {
		t.Errorf("%s and %s", a, b)
	}
}

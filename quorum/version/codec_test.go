package version

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestMetaSurvivesItsEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := rapid.Uint64()
		r := Record{Tag: Tag{Generation(u.Draw(t, "generation")), u.Draw(t, "counter"), Incarnation(u.Draw(t, "incarnation")), rapid.Bool().Draw(t, "removed")}}
		if r.Tag.Removed && rapid.Bool().Draw(t, "owned") {
			r.Owner = Operation{Incarnation(u.Draw(t, "owner")), u.Draw(t, "sequence")}
		}
		r.Vector = rapid.SliceOfN(rapid.Byte(), 0, MaxVectorBytes).Draw(t, "vector")
		b := AppendMeta([]byte("before"), &r)
		if !bytes.HasPrefix(b, []byte("before")) || len(b)-6 > MaxMetaBytes {
			t.Fatalf("%x", b)
		}
		got, err := ParseMeta(b[6:])
		if err != nil || !same(got, r) {
			t.Fatalf("%+v, %v; want %+v", got, err, r)
		}
	})
}

// The bytes are stored and sent, so a change of them needs a new version of the peer protocol.
func TestMetaGolden(t *testing.T) {
	for _, c := range []struct {
		r    Record
		want string
	}{
		{Record{Tag: Tag{0, 1, 2, false}}, "00000102"},
		{Record{Tag: Tag{1, 300, 70000, false}, Vector: Vector{1, 2}, Value: []byte("not in it")}, "0001ac02f0a2040102"},
		{Record{Tag: Tag{1, 300, 2, true}, Owner: Operation{3, 128}, Vector: Vector{1, 2}}, "0301ac02020380010102"},
		{Record{Tag: Tag{1, 300, 2, true}, Owner: Contested}, "0101ac0202"},
		// A live record has no owner, so the one given here is not encoded.
		{Record{Tag: Tag{1, 300, 2, false}, Owner: Operation{3, 4}}, "0001ac0202"},
	} {
		if got := hex.EncodeToString(AppendMeta(nil, &c.r)); got != c.want {
			t.Errorf("%v: %s, want %s", c.r.Tag, got, c.want)
		}
	}
}

func TestMetaThatNobodyWroteIsRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":             {},
		"unknown flag":        {4, 0, 1, 1},
		"owner of a value":    {2, 0, 1, 1, 1, 1},
		"cut after the flags": {0},
		"cut in the tag":      {0, 1, 2},
		"cut in a number":     {0, 1, 0x80},
		"cut in the owner":    {3, 0, 1, 1, 1},
		"over 64 bits":        {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 1},
	} {
		if r, err := ParseMeta(b); !errors.Is(err, errCorrupt) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// FuzzParseMeta checks that ParseMeta never panics, and that each record it returns is the same
// after another round of AppendMeta and ParseMeta. So AppendMeta writes no two of them alike.
func FuzzParseMeta(f *testing.F) {
	f.Add([]byte{0, 0, 1, 2})
	f.Add([]byte{3, 1, 0xac, 2, 2, 3, 0x80, 1, 1, 2})
	f.Add([]byte{3, 1, 1, 1, 0, 0, 9}) // the owner is the zero Operation, which is Contested
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseMeta(b)
		if err != nil {
			return
		}
		if r.Vector.Check() {
			_ = r.Vector.String()
		}
		again, err := ParseMeta(AppendMeta(nil, &r))
		if err != nil || !same(again, r) {
			t.Fatalf("%x: %+v became %+v, %v", b, r, again, err)
		}
	})
}

func TestMetaDoesNotAllocate(t *testing.T) {
	r := Record{Tag: Tag{1, 1 << 40, 9, true}, Owner: Operation{9, 1 << 30}, Vector: Vector{1, 2, 3, 4}}
	dst := make([]byte, 0, MaxMetaBytes)
	if n := testing.AllocsPerRun(100, func() {
		b := AppendMeta(dst, &r)
		_, _ = ParseMeta(b)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

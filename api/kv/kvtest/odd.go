package kvtest

import (
	"strings"
	"testing"

	"viakv/api/kv"
)

// odd has texts that are all different keys. The collation, normalisation or trimming of a database
// may take some of them for the same.
var odd = []string{
	"\x00", "\x00\x00", "a", "a\x00", "a\x00b", "\x00a", "A", "a ", " a", " ", "  ", "\t", "\n", "\r\n", "\x1b", "\x7f",
	"'", `"`, `\`, `\\`, `\x00`, "$1", "$set", "_id", "a.b", ".", "..", "/", "%", "%00", "+", "&", "=", "?", "#", "{}", "[]", "null", "<b>",
	"é", "e\u0301", "ﬁ", "fi", "ß", "ss", "İ", "i", "I", "ı", "Å", "\u212b", // forms, foldings, ligatures
	// The edges of UTF-8's lengths.
	"\u0080", "\u07ff", "\u0800", "\xed\x9f\xbf", "\ue000", "\xef\xbb\xbf", "\ufffd", "\uffff", "\U00010000", "\U0010ffff",
	"\u200b", "\u202e", "العربية", "日本語", "👩‍👩‍👧", "🏳️", "z", "zz", "ä", "z\U0010ffff",
	strings.Repeat("x", kv.MaxKeyCharacters), strings.Repeat("x", kv.MaxKeyCharacters-1),
	strings.Repeat("𝄞", kv.MaxKeyCharacters), strings.Repeat("\U0010ffff", kv.MaxKeyCharacters), strings.Repeat("\x00", kv.MaxKeyCharacters),
}

// oddPairs gives each odd text a value. The odd texts serve as values as well. The first three
// values are instead the longest ones and the empty one.
func oddPairs(t testing.TB) map[string]string {
	t.Helper()
	pairs := map[string]string{}
	for i, k := range odd {
		v := odd[len(odd)-1-i]
		switch i {
		case 0:
			v = strings.Repeat("𝄞", kv.MaxValueCharacters)
		case 1:
			v = strings.Repeat("\x00", kv.MaxValueCharacters)
		case 2:
			v = ""
		}
		if _, twice := pairs[k]; twice {
			t.Fatalf("the list of odd keys has %q twice", k)
		}
		pairs[k] = v
	}
	return pairs
}

func oddKeysAndValues(t testing.TB, open Open) {
	s := open(t)
	want := oddPairs(t)
	for k, v := range want {
		mustSet(t, s, k, v)
	}
	for k, v := range want {
		mustGet(t, s, k, v)
		if _, err := s.Has(background, []byte(k), patient()); err != nil {
			t.Fatalf("has %q: %v", k, err)
		}
	}
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true}), want, true)
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient()}), want, false)
	for i, k := range odd {
		if i%2 == 0 {
			mustRemove(t, s, k)
			delete(want, k)
		}
	}
	for _, k := range odd {
		if v, kept := want[k]; kept {
			mustGet(t, s, k, v)
		} else {
			mustMiss(t, s, k)
		}
	}
}

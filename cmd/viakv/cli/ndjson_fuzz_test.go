package cli

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"viakv/api/kv"
)

// FuzzImport checks that pairs that are read can be stored, and that an import without an error has
// as many pairs as its last line says.
func FuzzImport(f *testing.F) {
	f.Add([]byte("{\"key\":\"color\",\"value\":\"green\"}\n{\"end\":true,\"count\":1}\n"))
	f.Add([]byte("{\"key\":\"\\ud800\",\"value\":\"\"}\n"))
	f.Add([]byte("{\"end\":true,\"count\":0}\n{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, n := newPairReader(bytes.NewReader(b)), int64(0)
		for p.next() {
			n++
			if k := utf8.RuneCountInString(p.pair.Key); k < 1 || k > kv.MaxKeyCharacters || utf8.RuneCountInString(p.pair.Value) > kv.MaxValueCharacters || !utf8.ValidString(p.pair.Key+p.pair.Value) {
				t.Errorf("%q gives %q", b, p.pair)
			}
		}
		if n != p.pairs || p.err == nil && p.ended && p.next() {
			t.Errorf("%q: %d pairs, counted %d", b, n, p.pairs)
		}
	})
}

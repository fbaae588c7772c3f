package api

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"viakv/quorum/version"
)

// reference returns what encoding/json makes of a string, without HTML escaping.
func reference(t testing.TB, s []byte) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(string(s)); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func checkJSON(t testing.TB, s []byte) {
	t.Helper()
	if got, want := string(appendJSON([]byte("x"), s)), "x"+reference(t, s); got != want {
		t.Errorf("%q: got %s, want %s", s, got, want)
	}
}

func TestAppendJSON(t *testing.T) {
	for c := range 256 {
		// These are places in each part of a word, and in what is left behind the last word.
		for _, at := range []int{0, 1, 7, 8, 15, 16, 17, 31} {
			s := bytes.Repeat([]byte("a"), 37)
			s[at] = byte(c)
			checkJSON(t, s)
			checkJSON(t, s[:at+1])
			checkJSON(t, append([]byte("é"), s...))
		}
	}
	for r := rune(0); r < utf8.MaxRune; r += 1 + r/64 {
		checkJSON(t, []byte("padding "+string(r)+"\" behind"))
	}
	for _, s := range []string{"", "\u2028", "\u2029\u2027\u202a", "\xe2\x80", "a\xc0\x80b", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x7f", "\u0080", "\ufffd", "\ufeff",
		strings.Repeat("\"", 40), strings.Repeat("\x00", 64), strings.Repeat("😀", 64) + "\\\n"} {
		checkJSON(t, []byte(s))
	}
}

func FuzzAppendJSON(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b\\c\n\x00", "é\u2028", "\xff", "12345678\x1f1234567\"é"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) { checkJSON(t, s) })
}

func TestAppendTag(t *testing.T) {
	for _, tag := range []version.Tag{{}, {Counter: 1}, {Generation: 1, Counter: 1 << 63, Incarnation: 7}, {Counter: 5, Removed: true}} {
		if got := string(appendTag([]byte("x"), tag)); got != "x"+tag.String() {
			t.Errorf("got %s, want x%s", got, tag)
		}
	}
}

package pairs

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"viakv/api/kv"
)

// seeds are lines, and some that are none.
var seeds = []string{
	line, line + end, "\n" + end, `{"end":true,"count":0}` + "\n{}", `{"key":"\ud800","value":""}`, `{"key":"\ud83d\ude00\"","value":"é` + "\xff" + `"}`,
	`{"version":"1","value":"1","key":"a","x":[{"key":1}, 1.5, null]}`, `{"key":"a","key":"b","value":"c"}`, `{"Key":"a","value":"b"}`, "{\"key\":\"a\x01\",\"value\":\"\"}",
	"{\"key\":\"0123456789abcdef\",\"value\":\"01234567é\"}\r\n", `{"key":"","value":""}`, `{"count":1,"end":false,"key":"\u006b","value":"\/"}`, `{"a":"b","c":"\u00e9"}`, `{"a":1} `,
}

// FuzzFastPath checks that the fast path and the slow one agree, however the stream is cut into
// reads, and that what is read can be stored.
func FuzzFastPath(f *testing.F) {
	for _, s := range append(seeds, "\"a\"\n"+end, `[ "a", "\u00e9"]`) {
		for format := range uint8(3) {
			f.Add([]byte(s), format)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, format uint8) {
		o, object := outcomes(t, string(b), Format(format%3)), Format(format%3) == Object
		for _, p := range o.pairs {
			if err := Check([]byte(p[0]), []byte(p[1])); err != nil {
				t.Errorf("%q gives %q: %v", b, p, err)
			}
		}
		if object && o.err == "" && !o.ended {
			t.Errorf("%q has no end", b)
		}
	})
}

// FuzzAgainstEncodingJSON checks one line, and one object, against encoding/json: what it accepts
// is accepted with the same content, except for what this package refuses on purpose.
func FuzzAgainstEncodingJSON(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.HasPrefix(b, []byte("\ufeff")) || len(b) >= bufferSize {
			return
		}
		members, ok := reference(b)
		object := read(t, NewReader(bytes.NewReader(b), Object))
		want, fine := outcome{ended: true, line: int64(len(members))}, ok
		for _, m := range members {
			var value any
			fine = fine && json.Unmarshal(m.value, &value) == nil
			text, isText := value.(string)
			fine = fine && isText && Check([]byte(m.name), []byte(text)) == nil
			want.pairs = append(want.pairs, [2]string{m.name, text})
		}
		if fine != (object.err == "") || fine && !same(object, want) {
			t.Errorf("%q as an object: %+v, want %+v (%t)", b, object, want, fine)
		}
		if bytes.IndexByte(b, '\n') >= 0 || len(bytes.TrimSpace(b)) == 0 {
			return
		}
		got := read(t, NewReader(bytes.NewReader(b), NDJSON))
		if want, ok := referenceLine(members, ok); ok != (got.err == "") || ok && !same(got, want) {
			t.Errorf("%q as a line: %+v, want %+v (%t)", b, got, want, ok)
		}
	})
}

// named is a member of an object.
type named struct {
	name  string
	value json.RawMessage
}

// reference returns the members of an object in their order, as encoding/json reads them. It
// returns false for what is none, and for text that encoding/json would replace.
func reference(b []byte) (all []named, ok bool) {
	if !utf8.Valid(b) || !json.Valid(b) || half16(b) || bytes.TrimLeft(b, " \t\r\n")[0] != '{' {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		m := named{name: name.(string)}
		if err := d.Decode(&m.value); err != nil {
			return nil, false
		}
		all = append(all, m)
	}
	return all, true
}

// referenceLine returns what has to come of a line with these members alone.
func referenceLine(members []named, valid bool) (o outcome, ok bool) {
	seen := map[string]json.RawMessage{}
	for _, m := range members {
		if _, twice := seen[m.name]; twice && slices.Contains([]string{"key", "value", "end", "count"}, m.name) {
			return o, false
		}
		seen[m.name] = m.value
	}
	var key, value *string
	end := false
	if !valid || !text(seen, "key", &key) || !text(seen, "value", &value) {
		return o, false
	}
	if raw, there := seen["end"]; there {
		if json.Unmarshal(raw, &end) != nil || string(raw) == "null" {
			return o, false
		}
	}
	o.line = 1
	if end {
		n, err := strconv.ParseInt(string(seen["count"]), 10, 64)
		o.ended = true
		return o, err == nil && n == 0 && key == nil && value == nil
	}
	if key == nil || value == nil || Check([]byte(*key), []byte(*value)) != nil {
		return o, false
	}
	o.pairs = of(*key, *value)
	return o, true
}

// text reads a member that has to be a string where it is there.
func text(seen map[string]json.RawMessage, name string, to **string) bool {
	raw, there := seen[name]
	return !there || json.Unmarshal(raw, to) == nil && *to != nil
}

// half16 reports whether valid JSON escapes one half of a surrogate pair without the other.
func half16(b []byte) bool {
	for i := 0; i+1 < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		i++ // the escaped character
		if r := escaped16(b[i:]); utf16.IsSurrogate(r) {
			if i+5 >= len(b) || b[i+5] != '\\' || utf16.DecodeRune(r, escaped16(b[i+6:])) == utf8.RuneError {
				return true
			}
			i += 6 // to the u of the second half
		}
	}
	return false
}

// escaped16 decodes uXXXX. It returns 0 for any other text.
func escaped16(s []byte) rune {
	if len(s) < 5 || s[0] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(s[1:5]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// FuzzText checks the search for special bytes and the decoding of a string against encoding/json.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", `\u00e9\n`, `\ud83d\ude00`, `\ud83d`, "12345678\x1f1234567\"é", `\`, "é\xff", strings.Repeat("v", kv.MaxValueCharacters) + `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		for mask, beyond := range map[uint64]bool{0: false, highBits: true} {
			want := bytes.IndexFunc(s, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r >= utf8.RuneSelf && beyond })
			if want < 0 {
				want = len(s)
			}
			if got := special(s, mask); got != want {
				t.Errorf("%q, %t: %d, want %d", s, beyond, got, want)
			}
		}
		at, found, fault := closing(s, 0)
		if !found || fault != "" {
			return
		}
		quoted := append([]byte{'"'}, s[:at+1]...)
		var want string
		ok := utf8.Valid(quoted) && json.Unmarshal(quoted, &want) == nil && !half16(quoted)
		if got, fault := decode(s[:at]); ok != (fault == "") || ok && string(got) != want {
			t.Errorf("%q: %q %s, want %q", quoted, got, fault, want)
		}
	})
}

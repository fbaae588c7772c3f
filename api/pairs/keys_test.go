package pairs

import (
	"strings"
	"testing"

	"viakv/api/kv"
)

func TestKeysThatAreRead(t *testing.T) {
	longest := strings.Repeat("𝄞", kv.MaxKeyCharacters)
	for name, c := range map[string]struct {
		input string
		keys  []string
		ended bool
		line  int64
	}{
		"nothing":                {"", nil, false, 0},
		"blank lines":            {"\n \n", nil, false, 2},
		"as the API writes":      {"\"a\"\n\"b\"\n" + `{"end":true,"count":2}` + "\n", []string{"a", "b"}, true, 3},
		"no last line":           {`"a"`, []string{"a"}, false, 1},
		"CRLF and a mark":        {"\ufeff\"a\"\r\n\r\n\"b\"\r\n", []string{"a", "b"}, false, 3},
		"escapes":                {`"\u0061\n\""` + "\n", []string{"a\n\""}, false, 1},
		"longest":                {`"` + longest + `"`, []string{longest}, false, 1},
		"pairs":                  {line + line + `{"end":true,"count":2}`, []string{"a", "a"}, true, 3},
		"objects of keys":        {`{"key":"a"}` + "\n" + `{"key":"b","x":[1]}`, []string{"a", "b"}, false, 2},
		"array":                  {`["a", "b"]` + "\n", []string{"a", "b"}, true, 2},
		"array as the API's":     {"[\"a\",\n\"b\"]\n", []string{"a", "b"}, true, 2},
		"empty array":            {" [ ] ", nil, true, 0},
		"array behind blanks":    {"\n\n \t\r\n  [\"a\"]", []string{"a"}, true, 1},
		"array behind a mark":    {"\ufeff[\"\\ud834\\udd1e\"]", []string{"𝄞"}, true, 1},
		"array with the longest": {`["` + longest + `"]`, []string{longest}, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var want [][2]string
			for _, k := range c.keys {
				want = append(want, [2]string{k})
			}
			if got := outcomes(t, c.input, Keys); !same(got, outcome{want, c.ended, c.line, ""}) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	tooLong := strings.Repeat("x", kv.MaxKeyCharacters+1)
	for name, c := range map[string]struct {
		input, want string
		read        int
	}{
		"bare":             {"\"a\"\ncolor\n", `line 2: no JSON: 'c' at byte 1 is not a key in quotes; want a key in quotes, "…"`, 1},
		"number":           {"1\n", "line 1: no JSON: '1' at byte 1 is not a key in quotes", 0},
		"two on a line":    {`"a" "b"`, "line 1: there is more on the line after the key: write each key on a line of its own", 0},
		"empty":            {"\"a\"\n\"\"\n", "line 2: the key is empty", 1},
		"too long":         {`"` + tooLong + `"`, "line 1: the key has 65 characters; the limit is 64", 0},
		"cut":              {"\"a\"\n\"b", "line 2: the input ends in the middle of the line: send it whole", 1},
		"over two lines":   {"\"a\n\"", "line 1: a string holds a control character", 0},
		"no text":          {"\"\xff\"", "line 1: not UTF-8", 0},
		"half":             {`"\ud800"`, "line 1: half of a surrogate pair", 0},
		"no key":           {`{"value":"a"}`, `line 1: want a key in quotes, "…"`, 0},
		"wrong count":      {"\"a\"\n" + `{"end":true,"count":2}`, "line 2: the last line counts 2 pairs, and 1 came before it", 1},
		"behind the end":   {"\"a\"\n" + end + "\"b\"", "line 3: there is more after the last line", 1},
		"compressed":       {"\x1f\x8b", "line 1: the input looks compressed with gzip", 0},
		"number in array":  {`["a",1]`, `key 2: no JSON: '1' is not a key in quotes; want one JSON array of strings, ["key"]`, 1},
		"no comma":         {`["a" "b"]`, "key 2: no JSON: '\"' is not a comma or the closing bracket", 1},
		"comma at the end": {`["a",]`, "key 2: no JSON: ']' is not a key in quotes", 1},
		"cut array":        {`["a","b"`, "key 3: the input ends before the array does: send it whole, to its closing bracket", 2},
		"cut at the start": {"[", "key 1: the input ends before the array does", 0},
		"empty in array":   {`[""]`, "key 1: the key is empty", 0},
		"long in array":    {`["` + tooLong + `"]`, "key 1: the key has 65 characters", 0},
		"behind the array": {`["a"] x`, "key 2: there is more after the array", 1},
		"nested":           {`[["a"]]`, "key 1: no JSON: '[' is not a key in quotes", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := outcomes(t, c.input, Keys)
			if !strings.HasPrefix(got.err, c.want) || len(got.pairs) != c.read {
				t.Errorf("%d keys, %q", len(got.pairs), got.err)
			}
		})
	}
}

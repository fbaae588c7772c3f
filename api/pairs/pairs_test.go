package pairs

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"viakv/api/kv"
)

// outcome is everything that a reader says about an input.
type outcome struct {
	pairs [][2]string
	ended bool
	line  int64
	err   string
}

// read reads to the end.
func read(t testing.TB, r *Reader) (o outcome) {
	t.Helper()
	for r.Next() {
		o.pairs = append(o.pairs, [2]string{string(r.Key()), string(r.Value())})
		if r.Err() != nil || r.Pairs() != int64(len(o.pairs)) {
			t.Errorf("%v at pair %d of %d", r.Err(), r.Pairs(), len(o.pairs))
		}
	}
	if r.Next() || r.Key() != nil || r.Value() != nil {
		t.Errorf("there is a pair after the end: %q", r.Key())
	}
	o.ended, o.line = r.Ended(), r.Line()
	if r.Err() != nil {
		o.err = r.Err().Error()
	}
	return o
}

// outcomes reads an input in several ways, which must not differ, and returns what came of it.
func outcomes(t testing.TB, input string, f Format) outcome {
	t.Helper()
	r := NewReader(strings.NewReader(input), f)
	want := read(t, r)
	if e := new(Error); r.Err() != nil && !errors.As(r.Err(), &e) {
		t.Errorf("%.200q: %v is no error of the content", input, r.Err())
	}
	for name, in := range map[string]io.Reader{
		"byte by byte":       iotest.OneByteReader(strings.NewReader(input)),
		"in halves":          iotest.HalfReader(strings.NewReader(input)),
		"the end with bytes": iotest.DataErrReader(strings.NewReader(input)),
	} {
		for _, slow := range []bool{false, true} {
			r.slow = slow
			r.Reset(in, f)
			if got := read(t, r); !same(got, want) {
				t.Errorf("%.200q %s, slow %t: %+v, want %+v", input, name, slow, got, want)
			}
			in = strings.NewReader(input)
		}
	}
	return want
}

func same(a, b outcome) bool {
	return slices.Equal(a.pairs, b.pairs) && a.ended == b.ended && a.line == b.line && a.err == b.err
}

// of returns pairs from keys and values in turns.
func of(texts ...string) (all [][2]string) {
	for p := range slices.Chunk(texts, 2) {
		all = append(all, [2]string{p[0], p[1]})
	}
	return all
}

const (
	line = `{"key":"a","value":"1"}` + "\n"
	end  = `{"end":true,"count":1}` + "\n"
)

// wide returns a text in UTF-16.
func wide(s string, big bool) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if big {
			b.Write([]byte{0, c})
		} else {
			b.Write([]byte{c, 0})
		}
	}
	return b.String()
}

func TestLinesThatAreRead(t *testing.T) {
	longest := []string{strings.Repeat("𝄞", kv.MaxKeyCharacters), strings.Repeat("\U0010ffff", kv.MaxValueCharacters)}
	var escaped strings.Builder
	for range kv.MaxValueCharacters {
		escaped.WriteString(`\ud834\udd1e`)
	}
	for name, c := range map[string]struct {
		input string
		pairs [][2]string
		ended bool
		line  int64
	}{
		"nothing":           {"", nil, false, 0},
		"canonical":         {line + end, of("a", "1"), true, 2},
		"no last line":      {line + line, of("a", "1", "a", "1"), false, 2},
		"no newline":        {strings.TrimSpace(line), of("a", "1"), false, 1},
		"end, no newline":   {line + strings.TrimSpace(end), of("a", "1"), true, 2},
		"empty export":      {`{"end":true,"count":0}`, nil, true, 1},
		"cursor":            {line + `{"end":true,"count":1,"cursor":"abc"}`, of("a", "1"), true, 2},
		"CRLF":              {strings.ReplaceAll(line+end, "\n", "\r\n"), of("a", "1"), true, 2},
		"blank lines":       {"\n \t\n" + line + "\r\n" + end + "\n  ", of("a", "1"), true, 7},
		"byte order mark":   {"\ufeff" + line + end, of("a", "1"), true, 2},
		"only a mark":       {"\ufeff", nil, false, 0},
		"white space":       {" { \"key\" :\t\"a\" , \"value\" : \"1\" } \n", of("a", "1"), false, 1},
		"other order":       {`{"value":"1","key":"a"}`, of("a", "1"), false, 1},
		"further members":   {`{"version":"1.2@3","key":"a","n":-1.5e3,"o":{"key":["}\"",{}]},"l":[],"value":"1","x":null,"x":true}`, of("a", "1"), false, 1},
		"other case":        {`{"Key":"x","key":"a","VALUE":"y","value":"1"}`, of("a", "1"), false, 1},
		"escaped names":     {`{"\u006bey":"a","\u0076alue":"1"}`, of("a", "1"), false, 1},
		"no end":            {`{"key":"a","value":"1","end":false,"count":"many"}`, of("a", "1"), false, 1},
		"escapes":           {`{"key":"\"\\\/\b\f\n\r\t\u00e9\ud83d\uDE00","value":"a\\ud83d\u0000"}`, of("\"\\/\b\f\n\r\té😀", "a\\ud83d\x00"), false, 1},
		"replacement":       {`{"key":"\ufffd","value":"` + "\ufffd" + `"}`, of("\ufffd", "\ufffd"), false, 1},
		"beyond ASCII":      {"{\"key\":\"é\u2028\u007f\",\"value\":\"日本語 and more than eight bytes\"}\n", of("é\u2028\u007f", "日本語 and more than eight bytes"), false, 1},
		"empty value":       {`{"key":"a","value":""}` + "\n", of("a", ""), false, 1},
		"longest":           {`{"key":"` + longest[0] + `","value":"` + longest[1] + `"}` + "\n", of(longest...), false, 1},
		"longest, escaped":  {`{"key":"a","value":"` + escaped.String() + `"}`, of("a", strings.Repeat("𝄞", kv.MaxValueCharacters)), false, 1},
		"more than buffers": {strings.Repeat(line, 20_000), of(slices.Repeat([]string{"a", "1"}, 20_000)...), false, 20_000},
	} {
		if got := outcomes(t, c.input, NDJSON); !same(got, outcome{c.pairs, c.ended, c.line, ""}) {
			t.Errorf("%s: %.500s", name, fmt.Sprintf("%+v", got))
		}
	}
}

func TestLinesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ input, says string }{
		"short":               {line + `{"end":true,"count":2}`, "line 2: the last line counts 2 pairs, and 1 came before it"},
		"no count":            {line + `{"end":true}`, "line 2: the last line does not count"},
		"half a pair counted": {line + `{"end":true,"count":1.0}`, "line 2: the last line does not count"},
		"end of what":         {`{"end":"yes"}`, `"end" is neither true nor false`},
		"pair and end":        {`{"end":true,"count":0,"key":"a","value":"1"}`, "at once"},
		"more":                {line + end + "\n" + line, "line 4: there is more after the last line"},
		"two ends":            {line + end + end, "line 3: there is more"},
		"cut in a name":       {line + `{"key`, "line 2: the input ends in the middle of the line"},
		"cut in a value":      {line + `{"key":"b","value":"`, "line 2: the input ends in the middle"},
		"cut in a character":  {"{\"key\":\"b\",\"value\":\"\xc3", "the input ends in the middle"},
		"cut in an escape":    {`{"key":"b","value":"\`, "the input ends in the middle"},
		"cut in a number":     {line + `{"end":true,"count":1`, "line 2: the input ends in the middle"},
		"cut in a word":       {line + `{"end":tr`, "line 2: the input ends in the middle"},
		"cut in other things": {`{"x":[{"a"`, "the input ends in the middle"},
		"cut before the end":  {`{"key":"b","value":"1" `, "the input ends in the middle"},
		"several lines":       {"{\n" + `"key":"a","value":"1"}`, "line 1: the JSON goes on after the line"},
		"two in one line":     {`{"key":"a","value":"1"}{"key":"b","value":"2"}`, "line 1: there is more on the line"},
		"CSV":                 {line + "key,value\n", "line 2: no JSON: 'k' at byte 1 is not an opening brace; want {"},
		"array":               {`["a","1"]`, "not an opening brace"},
		"word":                {"null", "not an opening brace"},
		"curly quotes":        {`{“key”:"a","value":"1"}`, "'“' at byte 2 is not a name in quotes"},
		"no colon":            {`{"key" "a"}`, `'"' at byte 8 is not a colon`},
		"no comma":            {`{"key":"a" "value":"1"}`, "not a comma or a closing brace"},
		"comma at the end":    {`{"key":"a","value":"1",}`, "not a name in quotes"},
		"comma at the start":  {`{,"key":"a","value":"1"}`, "not a name in quotes"},
		"empty object":        {"{}", `want {"key":"…","value":"…"}`},
		"no value":            {`{"key":"a"}`, `want {"key":"…","value":"…"}`},
		"no key":              {`{"value":"a"}`, `want {"key":"…","value":"…"}`},
		"no exact names":      {`{"KEY":"a","Value":"1"}`, `want {"key":"…","value":"…"}`},
		"number":              {`{"key":"a","value":1}`, `"value" is no string`},
		"null":                {`{"key":null,"value":"1"}`, `"key" is no string`},
		"key twice":           {`{"key":"a","key":"b","value":"1"}`, `"key" comes twice`},
		"value twice":         {`{"key":"a","value":"1","\u0076alue":"1"}`, `"value" comes twice`},
		"end twice":           {`{"end":false,"end":true,"count":0}`, `"end" comes twice`},
		"bad number":          {`{"key":"a","value":"1","n":01}`, "not a JSON value"},
		"bad brackets":        {`{"key":"a","value":"1","n":{"a":[}]}`, "not a JSON value"},
		"nothing there":       {`{"key":"a","value":"1","n":}`, "not a JSON value"},
		"control character":   {"{\"key\":\"a\tb\",\"value\":\"1\"}\n", "control character"},
		"control, nested":     {"{\"key\":\"a\",\"value\":\"1\",\"n\":[\"\x01\"]}\n", "control character"},
		"NUL":                 {"{\"key\":\"a\x00\",\"value\":\"1\"}\n", "control character"},
		"bad escape":          {`{"key":"\x41","value":"1"}`, "a backslash in a string"},
		"bad hex":             {`{"key":"\u+123","value":"1"}`, "a backslash in a string"},
		"short hex":           {`{"key":"\u12","value":"1"}`, "a backslash in a string"},
		"not UTF-8":           {"{\"key\":\"\xff\",\"value\":\"\"}\n", "line 1: not UTF-8"},
		"not UTF-8 outside":   {"{\xff\"key\":\"a\",\"value\":\"\"}\n", "not UTF-8"},
		"not UTF-8, ignored":  {"{\"key\":\"a\",\"value\":\"\",\"x\":[\"\xed\xa0\x80\"]}\n", "not UTF-8"},
		"high half":           {`{"key":"\ud83d","value":""}`, "surrogate"},
		"low half":            {`{"key":"a","value":"\ude00"}`, "surrogate"},
		"halves apart":        {`{"key":"\ude00\ud83d","value":""}`, "surrogate"},
		"half and a letter":   {`{"key":"\ud83dx","value":""}`, "surrogate"},
		"half and an escape":  {`{"key":"\ud83d\n","value":""}`, "surrogate"},
		"half, ignored":       {`{"key":"a","value":"","x":{"\ud83d":1}}`, "surrogate"},
		"empty key":           {"{\"key\":\"\",\"value\":\"\"}\n", "line 1: the key is empty"},
		"long key":            {`{"key":"` + strings.Repeat("é", kv.MaxKeyCharacters+1) + "\",\"value\":\"\"}\n", "the key has 65 characters; the limit is 64"},
		"long value":          {`{"key":"a","value":"` + strings.Repeat("v", 2*kv.MaxValueBytes) + "\"}\n", "the value has 2048 characters; the limit is 256"},
		"long line":           {line + `{"key":"a","value":"` + strings.Repeat("v", bufferSize) + "\"}\n", "line 2: the line has more than 65536 bytes"},
		"endless line":        {strings.Repeat(" ", 3*bufferSize), "line 1: the line has more than"},
		"little end first":    {"\xff\xfe" + wide(line, false), "line 1: the input looks like UTF-16"},
		"big end first":       {"\xfe\xff" + wide(line, true), "send it as UTF-8"},
		"no mark":             {wide(line, false), "send it as UTF-8"},
		"no mark, big end":    {wide(line, true), "send it as UTF-8"},
		"NUL outside":         {line + "{\x00", "line 2: the input looks like UTF-16"},
		"gzip":                {"\x1f\x8b\x08\x00\x00", "line 1: the input looks compressed with gzip: decompress it first"},
		"zstd":                {"\x28\xb5\x2f\xfd\x04", "zstd: decompress it first, or name its Content-Encoding"},
		"second mark":         {line + "\ufeff" + line, "line 2: no JSON: '\\ufeff'"},
	} {
		got := outcomes(t, c.input, NDJSON)
		if !strings.Contains(got.err, c.says) || got.err == "" {
			t.Errorf("%s: %q, want %q", name, got.err, c.says)
		}
		if strings.HasPrefix(c.input, line) && !slices.Equal(got.pairs, of("a", "1")) {
			t.Errorf("%s: %v, want the pair before", name, got.pairs)
		}
	}
}

func TestObjectsThatAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		input string
		pairs [][2]string
	}{
		"empty":           {"{}", nil},
		"as written":      {"{\"a\":\"1\",\n\"b\":\"2\"}\n", of("a", "1", "b", "2")},
		"white space":     {"\r\n { \"a\"\t:\n\"1\" , \"b\" : \"2\"\n} \n", of("a", "1", "b", "2")},
		"much space":      {"{" + strings.Repeat(" ", 2*bufferSize) + `"a"` + strings.Repeat("\n", 2*bufferSize) + `:"1"}` + strings.Repeat(" ", bufferSize), of("a", "1")},
		"byte order mark": {"\ufeff{\"a\":\"1\"}", of("a", "1")},
		"escapes":         {`{"\"\ud83d\ude00":"\\\u0000"}`, of("\"😀", "\\\x00")},
		"key twice":       {`{"a":"1","a":"2"}`, of("a", "1", "a", "2")},
		"empty value":     {`{"a":""}`, of("a", "")},
		"names of lines":  {`{"key":"a","value":"b","end":"c"}`, of("key", "a", "value", "b", "end", "c")},
		"longest key":     {`{"` + strings.Repeat("𝄞", kv.MaxKeyCharacters) + `":"1"}`, of(strings.Repeat("𝄞", kv.MaxKeyCharacters), "1")},
		"more":            {"{" + strings.Repeat(`"a":"1",`+"\n", 20_000) + `"b":"2"}`, append(of(slices.Repeat([]string{"a", "1"}, 20_000)...), [2]string{"b", "2"})},
	} {
		if got := outcomes(t, c.input, Object); !same(got, outcome{c.pairs, true, int64(len(c.pairs)), ""}) {
			t.Errorf("%s: %.500s", name, fmt.Sprintf("%+v", got))
		}
	}
}

func TestObjectsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ input, says string }{
		"nothing":           {"", "pair 1: the input has no object"},
		"space":             {" \n", "pair 1: the input has no object"},
		"array":             {`["a"]`, "pair 1: no JSON: '[' is not the opening brace; want one JSON object"},
		"cut at the start":  {"{", "pair 1: the input ends before the object does"},
		"cut in a key":      {`{"a":"1","b`, "pair 2: the input ends before the object does"},
		"cut after a key":   {`{"a":"1","b"`, "pair 2: the input ends before"},
		"cut after a colon": {`{"a":"1","b":`, "pair 2: the input ends before"},
		"cut in a value":    {`{"a":"1","b":"2\`, "pair 2: the input ends before"},
		"cut after a value": {`{"a":"1"`, "pair 2: the input ends before"},
		"cut after a comma": {`{"a":"1",` + "\n", "pair 2: the input ends before"},
		"more":              {`{"a":"1"} x`, "pair 2: there is more after the object"},
		"lines":             {line + line, "NDJSON"},
		"number":            {`{"a":"1","b":2}`, `pair 2: the value of "b" is no string`},
		"nested":            {`{"a":{"b":"1"}}`, "is no string"},
		"null":              {`{"a":null}`, "is no string"},
		"bad name":          {`{a:"1"}`, "'a' is not a key in quotes"},
		"no colon":          {`{"a" "1"}`, "not a colon"},
		"no comma":          {`{"a":"1" "b":"2"}`, "not a comma or the closing brace"},
		"comma at the end":  {`{"a":"1",}`, "'}' is not a key in quotes"},
		"empty key":         {`{"":"1"}`, "pair 1: the key is empty"},
		"long key":          {`{"` + strings.Repeat("k", kv.MaxKeyBytes+1) + `":"1"}`, "the key has 257 characters; the limit is 64"},
		"long value":        {`{"a":"` + strings.Repeat("v", kv.MaxValueCharacters+1) + `"}`, "the value has 257 characters"},
		"endless string":    {`{"a":"` + strings.Repeat("v", 2*bufferSize), "pair 1: a key or a value has more than 65536 bytes"},
		"not UTF-8":         {"{\"a\":\"\xff\"}", "pair 1: not UTF-8"},
		"not UTF-8 outside": {"{\"a\":\"1\"\xff    ", "pair 2: not UTF-8"},
		"half":              {`{"\ud83d":"1"}`, "surrogate"},
		"bad escape":        {`{"a":"\'"}`, "a backslash in a string"},
		"control character": {"{\"a\":\"1\n\"}", "control character"},
		"NUL":               {"{ \n  \x00", "looks like UTF-16"},
		"UTF-16":            {wide(`{"a":"1"}`, true), "pair 1: the input looks like UTF-16"},
		"gzip":              {"\x1f\x8b", "pair 1: the input looks compressed with gzip"},
	} {
		if got := outcomes(t, c.input, Object); !strings.Contains(got.err, c.says) {
			t.Errorf("%s: %q, want %q", name, got.err, c.says)
		}
	}
}

func TestAStreamThatFails(t *testing.T) {
	broken := errors.New("the connection broke")
	for _, c := range []struct {
		input string
		f     Format
		pairs int64
		says  string
	}{
		{"", NDJSON, 0, "line 1: the connection broke"},
		{line + line, NDJSON, 2, "line 3: the connection broke"},
		{line + `{"key":"b"`, NDJSON, 1, "line 2: the connection broke"},
		{line + end, NDJSON, 1, "line 3: the connection broke"},
		{"", Object, 0, "pair 1: the connection broke"},
		{`{"a":"1","b`, Object, 1, "pair 2: the connection broke"},
		{`{"a":"1"}`, Object, 1, "pair 2: the connection broke"},
		{`{"a":`, Object, 0, "pair 1: the connection broke"},
	} {
		for _, split := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader} {
			r := NewReader(split(io.MultiReader(strings.NewReader(c.input), iotest.ErrReader(broken))), c.f)
			if got := read(t, r); got.err != c.says || r.Pairs() != c.pairs || !errors.Is(r.Err(), broken) || errors.As(r.Err(), new(*Error)) {
				t.Errorf("%q: %+v, want %s", c.input, got, c.says)
			}
		}
	}
	if got := read(t, NewReader(silent{}, NDJSON)); !strings.Contains(got.err, io.ErrNoProgress.Error()) {
		t.Errorf("%+v", got)
	}
}

// silent delivers nothing and never ends.
type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

func TestAReaderIsUsedAgain(t *testing.T) {
	r := NewReader(strings.NewReader("\ufeff"+line+"bad"), NDJSON)
	if got := read(t, r); got.err == "" || len(got.pairs) != 1 {
		t.Errorf("%+v", got)
	}
	r.Reset(strings.NewReader(`{"b":"2"}`), Object)
	if got := read(t, r); !same(got, outcome{of("b", "2"), true, 1, ""}) {
		t.Errorf("%+v", got)
	}
	r.Reset(strings.NewReader("\ufeff"+line+end), NDJSON)
	if got := read(t, r); !same(got, outcome{of("a", "1"), true, 2, ""}) {
		t.Errorf("%+v", got)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct{ key, value, says string }{
		{"a", "", ""},
		{"\x00", "\n", ""},
		{"", "", "the key is empty"},
		{"\xff", "", "not UTF-8"},
		{"a", "\xc3", "not UTF-8"},
		{strings.Repeat("é", kv.MaxKeyCharacters), strings.Repeat("é", kv.MaxValueCharacters), ""},
		{strings.Repeat("é", kv.MaxKeyCharacters+1), "", "the key has 65 characters"},
		{"a", strings.Repeat("é", kv.MaxValueCharacters+1), "the value has 257 characters"},
	} {
		if err := Check([]byte(c.key), []byte(c.value)); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.20q: %v, want %q", c.key, err, c.says)
		}
	}
}

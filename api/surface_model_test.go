package api

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"pgregory.net/rapid"

	"viakv/api/kv"
)

// surfaceModel is a map and the rules of the API's description, implemented a second time with
// net/url.
type surfaceModel struct {
	pairs   map[string]string
	clears  int
	cursors []modelCursor
}

// modelCursor is a cursor that an answer has had. It goes on after a key, until the next clear.
type modelCursor struct {
	text, after string
	clears      int
}

// arguments are a request's parameters, decoded. A parameter that is badly encoded or repeated is
// nil.
type arguments map[string]*string

func (a arguments) parse(query string) {
	for _, pair := range strings.Split(query, "&") {
		name, raw, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			continue
		}
		value, err := url.QueryUnescape(raw)
		_, repeated := a[name]
		if a[name] = &value; repeated || err != nil || !utf8.ValidString(value) {
			a[name] = nil
		}
	}
}

// text reports whether a parameter, if it is given, has a number of characters within these bounds.
func (a arguments) text(name string, least, most int) bool {
	value, ok := a[name]
	return !ok || value != nil && utf8.RuneCountInString(*value) >= least && utf8.RuneCountInString(*value) <= most
}

func (a arguments) oneOf(name string, values ...string) bool {
	value, ok := a[name]
	return !ok || value != nil && slices.Contains(values, *value)
}

func (a arguments) get(name string) string {
	if value := a[name]; value != nil {
		return *value
	}
	return ""
}

var dataParameters = map[string]string{"/set": "kvrw", "/setAll": "rw", "/get": "krw", "/is": "krw", "/getMany": "rw", "/rm": "krw", "/clear": "rw", "/getKeys": "r", "/getValues": "r", "/getAll": "r"}

// judge fails unless the answer is the one that the model gives. It applies the request's change to
// the model.
func (m *surfaceModel) judge(t *rapid.T, r request, a answer, what string) {
	want := func(status int) bool {
		if a.status != status {
			t.Fatalf("%s: want %d", what, status)
		}
		return status == 200
	}
	e := endpointAt(r.path)
	if e == nil {
		want(404)
		return
	}
	host, origin, site := r.header["Host"], r.header["Origin"], r.header["Sec-Fetch-Site"]
	switch {
	case r.method != "GET" && (r.method != "POST" || !e.mutates && !e.posts), r.method == "GET" && e.loads:
		want(405)
		return
	case host == "evil.example" && e.role != roleNone && !e.free:
		want(421)
		return
	case e.mutates && (origin != "" && origin != "https://"+host || site == "cross-site"):
		want(403)
		return
	case len(r.target()) > maxURLBytes:
		want(414)
		return
	case r.method == "POST" && r.body != "" && e.mutates && !e.loads && !strings.HasPrefix(r.header["Content-Type"], string(formType)):
		want(415)
		return
	}
	names, isData := dataParameters[r.path]
	if !isData {
		return // surface.validate has compared the answer with the document
	}
	args := arguments{}
	args.parse(r.query)
	if e.loads {
		m.load(want, r, args, a, t, what)
		return
	}
	if r.method == "POST" && e.mutates {
		args.parse(r.body)
	}
	fine := true
	for _, name := range names {
		switch name {
		case 'k':
			_, there := args["k"]
			fine = fine && there && args.text("k", 1, 64)
		case 'v':
			_, there := args["v"]
			fine = fine && there && args.text("v", 0, 256)
		default: // r and w: there is one replica
			fine = fine && args.oneOf(string(name), "1", "quorum", "all")
		}
	}
	if r.path == getManyPath {
		m.many(want, r, args, fine, a, t, what)
		return
	}
	if strings.HasPrefix(r.path, "/get") && r.path != "/get" {
		m.scan(want, t, r.path, r.header["Accept"], args, fine, a, what)
		return
	}
	if !fine {
		want(400)
		return
	}
	key := args.get("k")
	value, there := m.pairs[key]
	switch r.path {
	case "/set":
		want(200)
		m.pairs[key] = args.get("v")
	case "/clear":
		want(200)
		clear(m.pairs)
		m.clears++
	case "/rm":
		want(map[bool]int{true: 200, false: 404}[there])
		delete(m.pairs, key)
	case "/is":
		want(map[bool]int{true: 200, false: 404}[there])
	case "/get":
		if !want(map[bool]int{true: 200, false: 404}[there]) {
			return
		}
		got := a.body
		if strings.HasPrefix(a.header.Get("Content-Type"), jsonType) {
			var row struct{ Key, Value string }
			if err := json.Unmarshal([]byte(got), &row); err != nil || row.Key != key {
				t.Fatalf("%s: key %q (%v), want %q", what, row.Key, err, key)
			}
			got = row.Value
		}
		if got != value {
			t.Fatalf("%s: want %q", what, value)
		}
	}
}

// load judges a load of lines or of an object.
func (m *surfaceModel) load(want func(int) bool, r request, args arguments, a answer, t *rapid.T, what string) {
	quorum := func(name string) (parsed, met bool) {
		q, ok := kv.ParseQuorum(args.get(name))
		_, there := args[name]
		return ok || !there, !there || q <= 1
	}
	rParsed, rMet := quorum("r")
	wParsed, wMet := quorum("w")
	if !rParsed || !wParsed || !args.oneOf("format", "json", "ndjson") {
		want(400)
		return
	}
	object := args.get("format") == "json" || args.get("format") == "" && r.header["Content-Type"] == jsonType
	pairs, fine := readLoad(r.body, object)
	if len(pairs) > 0 && (!rMet || !wMet) {
		want(400)
		return
	}
	for _, p := range pairs {
		m.pairs[p[0]] = p[1]
	}
	if !fine {
		want(400)
	} else if want(200) && !strings.Contains(a.body, strconv.Itoa(len(pairs))) {
		t.Fatalf("%s: want %d stored", what, len(pairs))
	}
}

// readLoad returns the pairs of a load's body that are before its first fault, and whether there is
// none.
func readLoad(body string, object bool) (pairs [][2]string, fine bool) {
	if object {
		d := json.NewDecoder(strings.NewReader(body))
		if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
			return nil, false
		}
		for d.More() {
			key, err := d.Token()
			var value string
			if err != nil || d.Decode(&value) != nil || key == "" {
				return pairs, false
			}
			pairs = append(pairs, [2]string{key.(string), value})
		}
		if _, err := d.Token(); err != nil {
			return pairs, false
		}
		_, err := d.Token()
		return pairs, err == io.EOF
	}
	for line := range strings.Lines(body) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var row struct{ Key, Value *string }
		if json.Unmarshal([]byte(line), &row) != nil || row.Key == nil || row.Value == nil || *row.Key == "" {
			return pairs, false
		}
		pairs = append(pairs, [2]string{*row.Key, *row.Value})
	}
	return pairs, true
}

// scan judges a page or a whole scan. The store of these tests goes through its keys in their
// order.
func (m *surfaceModel) scan(want func(int) bool, t *rapid.T, path, accept string, args arguments, fine bool, a answer, what string) {
	limit := 0
	_, limited := args["limit"]
	if limited {
		limit, _ = strconv.Atoi(args.get("limit"))
		fine = fine && limit >= 1 && limit <= maxLimit && args.get("limit") == strconv.Itoa(limit)
	}
	_, resumed := args["cursor"]
	fine = fine && args.oneOf("snapshot", "1", "true", "0", "false") && args.oneOf("format", "json", "ndjson") && args.text("prefix", 0, 64) && args.text("cursor", 0, 512)
	if snapshot := args.get("snapshot"); (snapshot == "1" || snapshot == "true") && (limited || resumed) {
		fine = false
	}
	// A cursor must be one of an earlier answer since the last clear.
	after, known := "", args.get("cursor") == ""
	for _, c := range m.cursors {
		if c.text == args.get("cursor") && c.clears == m.clears {
			after, known = c.after, true
		}
	}
	if !fine || !known {
		want(400)
		return
	}
	want(200)
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(m.pairs)) {
		if key > after && strings.HasPrefix(key, args.get("prefix")) {
			keys = append(keys, key)
		}
	}
	// A page that leaves keys out has a cursor.
	more := limited && len(keys) > limit
	if more {
		keys = keys[:limit]
	}
	ndjson := args.get("format") == "ndjson" || args.get("format") == "" && strings.Contains(accept, ndjsonType)
	if got := a.header.Get("Content-Type") == ndjsonType; got != ndjson {
		t.Fatalf("%s: NDJSON is %v, want %v", what, got, ndjson)
	}
	cursor := a.header.Get(headerCursor)
	if (cursor != "") != more {
		t.Fatalf("%s: cursor %q, want one: %v", what, cursor, more)
	}
	if more {
		m.cursors = append(m.cursors, modelCursor{cursor, keys[len(keys)-1], m.clears})
	}
	got, err := readRows(path, a.body, ndjson)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	// The rows are those of the map, in the order of the keys.
	var rows []string
	for _, key := range keys {
		rows = append(rows, map[string]string{"/getKeys": key, "/getValues": m.pairs[key], "/getAll": key + "\x00=" + m.pairs[key]}[path])
	}
	if !slices.Equal(got, rows) {
		t.Fatalf("%s: got %q, want %q", what, got, rows)
	}
}

// readRows returns the rows of a scan's body. A pair becomes "key\x00=value".
func readRows(path, body string, ndjson bool) (rows []string, err error) {
	if !ndjson && path == "/getAll" {
		pairs := map[string]string{}
		err = json.Unmarshal([]byte(body), &pairs)
		for _, key := range slices.Sorted(maps.Keys(pairs)) {
			rows = append(rows, key+"\x00="+pairs[key])
		}
		return rows, err
	}
	if !ndjson {
		err = json.Unmarshal([]byte(body), &rows)
		return rows, err
	}
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	for _, line := range lines[:len(lines)-1] {
		var row string
		if path == "/getAll" {
			var pair struct{ Key, Value string }
			err = json.Unmarshal([]byte(line), &pair)
			row = pair.Key + "\x00=" + pair.Value
		} else {
			err = json.Unmarshal([]byte(line), &row)
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	var end struct {
		End   bool
		Count int
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil || !end.End || end.Count != len(rows) {
		return nil, fmt.Errorf("the last line %q does not count %d rows (%w)", lines[len(lines)-1], len(rows), err)
	}
	return rows, nil
}

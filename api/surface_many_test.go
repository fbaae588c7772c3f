package api

import (
	"encoding/json"
	"maps"
	"net/url"
	"strings"
	"unicode/utf8"

	"pgregory.net/rapid"

	"viakv/api/kv"
)

// many judges a request for the values of many keys.
func (m *surfaceModel) many(want func(int) bool, r request, args arguments, fine bool, a answer, t *rapid.T, what string) {
	keys, legal := readKeys(r)
	if !fine || !legal || !args.oneOf("format", "json", "ndjson") {
		want(400)
		return
	}
	want(200)
	found := map[string]*string{}
	for _, key := range keys {
		found[key] = nil
		if value, there := m.pairs[key]; there {
			found[key] = &value
		}
	}
	got, err := readFound(a)
	if err != nil || !maps.EqualFunc(got, found, func(x, y *string) bool { return x == y || x != nil && y != nil && *x == *y }) {
		t.Fatalf("%s: %v, want %v (%v)", what, got, found, err)
	}
}

// readKeys returns the keys that a request names, and whether it names them as it should.
func readKeys(r request) (keys []string, fine bool) {
	for pair := range strings.SplitSeq(r.query, "&") {
		name, raw, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err != nil || name != "k" {
			continue
		}
		key, err := url.QueryUnescape(raw)
		if err != nil || !utf8.ValidString(key) || key == "" || utf8.RuneCountInString(key) > kv.MaxKeyCharacters {
			return nil, false
		}
		keys = append(keys, key)
	}
	if r.method != "POST" || r.body == "" {
		return keys, len(keys) > 0 || r.method == "POST"
	}
	if len(keys) > 0 {
		return nil, false
	}
	if strings.HasPrefix(strings.TrimSpace(r.body), "[") {
		return keys, json.Unmarshal([]byte(r.body), &keys) == nil
	}
	for line := range strings.Lines(r.body) {
		line = strings.TrimSpace(line)
		var row struct{ Key string }
		if line != "" && json.Unmarshal([]byte(line), &row.Key) != nil {
			row.Key = ""
			_ = json.Unmarshal([]byte(line), &row)
		}
		if line != "" && row.Key == "" {
			return nil, false
		}
		if line != "" {
			keys = append(keys, row.Key)
		}
	}
	return keys, true
}

// readFound returns the rows of an answer to /getMany.
func readFound(a answer) (found map[string]*string, err error) {
	if a.header.Get("Content-Type") != ndjsonType {
		err = json.Unmarshal([]byte(a.body), &found)
		return found, err
	}
	found = map[string]*string{}
	for line := range strings.Lines(a.body) {
		var row struct{ Key, Value *string }
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return nil, err
		}
		if row.Key != nil {
			found[*row.Key] = row.Value
		}
	}
	return found, nil
}

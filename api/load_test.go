package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/quorum/version"
)

// loadStore notes the batches that it is given. fail returns the error of a value, nil to store it.
type loadStore struct {
	kvtest.Reference
	begin func(batch int) // before each batch; nil: nothing
	fail  func(key string) error

	mu      sync.Mutex
	batches [][]string // their keys
	running bool
	options kv.Options // of the last one
}

func (s *loadStore) SetMany(ctx context.Context, writes []kv.Write, o kv.Options) {
	s.mu.Lock()
	if s.running {
		panic("two batches of a load at once")
	}
	s.running, s.options = true, o
	var keys []string
	for i := range writes {
		keys = append(keys, string(writes[i].Key))
	}
	s.batches = append(s.batches, keys)
	n := len(s.batches)
	s.mu.Unlock()
	if s.begin != nil {
		s.begin(n)
	}
	for i := range writes {
		w := &writes[i]
		w.Version, w.Err = version.Tag{}, nil
		if s.fail != nil {
			w.Err = s.fail(string(w.Key))
		}
		if w.Err == nil {
			w.Version, w.Err = s.Set(ctx, w.Key, w.Value, o)
		}
	}
	s.mu.Lock()
	s.running = false
	s.mu.Unlock()
}

// lines returns n lines of NDJSON, with the keys k1, k2 and so on.
func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"key":"k%d","value":"v%d"}`+"\n", i+1, i+1)
	}
	return b.String()
}

// loadProblem is a problem document of a load.
type loadProblem struct {
	problemDocument
	Stored, Next int64
	Failed       []struct {
		First, Last           int64
		Type, Detail, Outcome string
	}
}

func (a answer) loadProblem(t testing.TB, status int, slug string) (p loadProblem) {
	t.Helper()
	a.problem(t, status, slug)
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// What a scan answers with can be loaded, in both formats, with each coding, in chunks or with a
// length.
func TestALoadTakesWhatAScanGives(t *testing.T) {
	h := start(t, Config{})
	want := map[string]string{"empty": "", "odd\u2028\"\\\n\x00é😀": "\x01</script>", strings.Repeat("😀", kv.MaxKeyCharacters): strings.Repeat("€", kv.MaxValueCharacters)}
	for i := range 20_000 {
		want[fmt.Sprint("key-", i)] = fmt.Sprint("value ", i)
	}
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	said := fmt.Sprintf("OK, %d values are stored\n", len(want))
	h.do("POST", "/setAll?format=json", bytes.NewReader(body)).want(t, 200, said)
	asObject, asLines := h.get("/getAll").body, h.get("/getAll?format=ndjson").body
	for name, encode := range map[string]func(string) []byte{
		"": func(s string) []byte { return []byte(s) },
		"gzip": func(s string) []byte {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = io.WriteString(w, s)
			_ = w.Close()
			return b.Bytes()
		},
		"zstd": func(s string) []byte {
			var b bytes.Buffer
			w, err := zstd.NewWriter(&b)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(w, s)
			_ = w.Close()
			return b.Bytes()
		},
	} {
		for mediaType, text := range map[string]string{"application/json; charset=utf-8": asObject, "application/x-ndjson": asLines} {
			for _, chunked := range []bool{false, true} {
				h.get("/clear").want(t, 200, "OK\n")
				var in io.Reader = bytes.NewReader(encode(text))
				if chunked {
					in = io.MultiReader(in)
				}
				headers := []string{"Content-Type", mediaType}
				if name != "" {
					headers = append(headers, "Content-Encoding", name)
				}
				h.do("POST", "/setAll", in, headers...).want(t, 200, said)
				var found map[string]string
				if err := json.Unmarshal([]byte(h.get("/getAll").body), &found); err != nil || len(found) != len(want) {
					t.Fatalf("%d of %d pairs, %v", len(found), len(want), err)
				}
				for k, v := range want {
					if found[k] != v {
						t.Fatalf("%q has %q, want %q", k, found[k], v)
					}
				}
			}
		}
	}
	h.do("POST", "/setAll", strings.NewReader(lines(1)), "Accept", "application/json").want(t, 200, "{\"stored\":1}\n")
	h.do("POST", "/setAll", strings.NewReader(lines(1)), "Content-Type", "application/x-www-form-urlencoded").want(t, 200, "OK, 1 value is stored\n")
	h.do("POST", "/setAll", nil).want(t, 200, "OK, 0 values are stored\n")
	if page := h.get("/metrics").body; !strings.Contains(page, fmt.Sprintf("viakv_http_loaded_values_total %d\n", 13*len(want)+2)) {
		t.Error("the values are not counted")
	}
}

// Of lines with one key the last one stands: a batch has each key once, and the batches follow each
// other.
func TestTheLastLineOfAKeyStands(t *testing.T) {
	store := &loadStore{}
	h := start(t, Config{Store: store})
	var b strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&b, `{"key":"k%d","value":"%d"}`+"\n", i%700, i)
	}
	h.do("POST", "/setAll?r=1&w=all", strings.NewReader(b.String())).want(t, 200, "OK, 10000 values are stored\n")
	for i := range 700 {
		h.get(fmt.Sprint("/get?k=k", i)).want(t, 200, fmt.Sprint(i+(9_999-i)/700*700))
	}
	for _, keys := range store.batches {
		seen := slices.Clone(keys)
		slices.Sort(seen)
		if len(slices.Compact(seen)) != len(keys) {
			t.Fatal("a batch has a key twice")
		}
	}
	if o := store.options; o.R != 1 || o.W != kv.QuorumAll || !o.Deadline.IsZero() {
		t.Errorf("the options are %+v", o)
	}
}

// Batches are bounded, in values and in bytes.
func TestBatchesOfALoadAreBounded(t *testing.T) {
	for _, size := range []int{1, kv.MaxValueCharacters} {
		store := &loadStore{}
		h := start(t, Config{Store: store})
		var b strings.Builder
		for i := range 10_000 {
			fmt.Fprintf(&b, `{"key":"k%d","value":"%s"}`+"\n", i, strings.Repeat("😀", size))
		}
		h.do("POST", "/setAll", strings.NewReader(b.String())).want(t, 200, "OK, 10000 values are stored\n")
		for i, keys := range store.batches {
			bytes := len(keys) * (3 + 4*size)
			if len(keys) > maxBatch || bytes > maxBatchBytes+2*kv.MaxValueBytes || i < len(store.batches)-1 && len(keys) < maxBatch && bytes < maxBatchBytes/2 {
				t.Errorf("batch %d has %d values of %d characters", i, len(keys), size)
			}
		}
	}
}

// A fault of the body ends a load, and the answer names the line. What is before it is stored.
func TestABadLineEndsALoad(t *testing.T) {
	utf16 := "\xff\xfe{\x00\"\x00k\x00e\x00y\x00"
	for name, c := range map[string]struct {
		body, headers string
		status        int
		slug          string
		stored, next  int64
		says          string
	}{
		"no JSON":              {lines(3) + "k,v\n" + lines(1), "", 400, "bad-line", 3, 4, "line 4"},
		"in a later batch":     {lines(10_000) + "k,v\n", "", 400, "bad-line", 10_000, 10_001, "line 10001"},
		"the first":            {"k=a&v=1", "", 400, "bad-line", 0, 1, "line 1"},
		"blank lines":          {"\r\n\n" + lines(1) + "\nx", "", 400, "bad-line", 1, 5, "line 5"},
		"cut in a line":        {lines(2) + `{"key":"b","val`, "", 400, "bad-line", 2, 3, "middle of the line"},
		"a long key":           {lines(1) + `{"key":"` + strings.Repeat("é", 65) + `","value":""}`, "", 400, "bad-line", 1, 2, "the limit is 64"},
		"a long value":         {lines(1) + `{"key":"a","value":"` + strings.Repeat("é", 257) + `"}`, "", 400, "bad-line", 1, 2, "the limit is 256"},
		"no text":              {lines(1) + "{\"key\":\"\xff\",\"value\":\"\"}", "", 400, "bad-line", 1, 2, "UTF-8"},
		"UTF-16":               {utf16, "", 400, "bad-line", 0, 1, "UTF-8"},
		"a wrong count":        {lines(2) + `{"end":true,"count":3}`, "", 400, "bad-line", 2, 3, "counts 3"},
		"an object":            {`{"a":"1","b":2}`, "Content-Type: application/json", 400, "bad-line", 1, 2, "pair 2"},
		"an object that ends":  {`{"a":"1","b":"2"`, "Content-Type: application/json", 400, "bad-line", 2, 3, "ends"},
		"gzip unnamed":         {"\x1f\x8b\x08\x00", "", 400, "bad-line", 0, 1, "Content-Encoding"},
		"no gzip":              {lines(1), "Content-Encoding: gzip", 400, "malformed", 0, 1, "gzip"},
		"no zstd":              {lines(1), "Content-Encoding: zstd", 400, "malformed", 0, 1, "zstd"},
		"another coding":       {lines(1), "Content-Encoding: br", 415, "media-type", 0, 0, "gzip"},
		"another format":       {lines(1), "?format=csv", 400, "bad-parameter", 0, 0, "ndjson"},
		"a quorum that is bad": {lines(1), "?w=many", 400, "bad-parameter", 0, 0, "w"},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, Config{})
			path, headers := "/setAll", []string(nil)
			if strings.HasPrefix(c.headers, "?") {
				path += c.headers
			} else if k, v, found := strings.Cut(c.headers, ": "); found {
				headers = []string{k, v}
			}
			p := h.do("POST", path, strings.NewReader(c.body), headers...).loadProblem(t, c.status, c.slug)
			if p.Stored != c.stored || p.Next != c.next || !strings.Contains(p.Detail, c.says) || (p.Outcome == "none") != (c.stored == 0) || len(p.Failed) > 0 {
				t.Errorf("got %+v, want %d stored, next %d, and %q", p, c.stored, c.next, c.says)
			}
			if n := strings.Count(h.get("/getKeys?format=ndjson").body, "\n") - 1; int64(n) != c.stored {
				t.Errorf("%d keys are there, want %d", n, c.stored)
			}
		})
	}
}

// A client that is still sending learns of a bad line.
func TestABadLineOfALargeBody(t *testing.T) {
	h := start(t, Config{})
	for range 10 {
		p := h.do("POST", "/setAll", strings.NewReader("bad\n"+lines(1_000_000))).loadProblem(t, 400, "bad-line")
		if p.Stored != 0 || p.Next != 1 {
			t.Errorf("got %+v", p)
		}
	}
}

// A load goes on past what the store does not take, and names the lines.
func TestALoadNamesWhatIsNotStored(t *testing.T) {
	lost := &kv.Unavailable{Outcome: kv.Unknown, Reason: "lost"}
	store := &loadStore{fail: func(key string) error {
		switch key {
		case "k2", "k3", "k5", "k9000":
			return lost
		case "k4":
			return kv.Detail(kv.ErrMemoryLimit, "n1 holds as much as it may")
		}
		return nil
	}}
	h := start(t, Config{Store: store})
	p := h.do("POST", "/setAll", strings.NewReader("\n"+lines(10_000))).loadProblem(t, 503, "unavailable")
	var got []string
	for _, f := range p.Failed {
		got = append(got, fmt.Sprintf("%d-%d %s %s", f.First, f.Last, strings.TrimPrefix(f.Type, problemTypePrefix), f.Outcome))
	}
	want := []string{"3-4 unavailable unknown", "5-5 memory-limit none", "6-6 unavailable unknown", "9001-9001 unavailable unknown"}
	if !slices.Equal(got, want) || p.Stored != 9_995 || p.Next != 0 || p.Outcome != "unknown" || !strings.Contains(p.Detail, "lost; 9995 values are stored, those of the lines in failed are not") {
		t.Errorf("%v, %+v", got, p)
	}
	if f := h.server.Figures(); f.WritesAnswered != 9_995 || f.WritesRefused != 5 {
		t.Errorf("%+v", f)
	}
}

// A load ends when nothing of a batch was stored, and where too many lines fail to list them.
func TestALoadEndsWhereNothingIsStored(t *testing.T) {
	full := kv.Detail(kv.ErrMemoryLimit, "n1 holds as much as it may")
	seen := 0
	store := &loadStore{fail: func(string) error {
		if seen++; seen > 2*maxBatch {
			return full
		}
		return nil
	}}
	h := start(t, Config{Store: store})
	p := h.do("POST", "/setAll", strings.NewReader(lines(100_000))).loadProblem(t, 507, "memory-limit")
	if p.Stored != 2*maxBatch || p.Next != 3*maxBatch+1 || len(p.Failed) != 1 || p.Failed[0].First != 2*maxBatch+1 || p.Failed[0].Last != 3*maxBatch || p.Failed[0].Outcome != "none" {
		t.Errorf("%+v", p)
	}
	if !strings.Contains(p.Detail, "--max-memory") || !strings.Contains(p.Detail, fmt.Sprintf("from line %d on nothing was tried", p.Next)) {
		t.Errorf("%q does not say what to do", p.Detail)
	}
	store.fail = func(string) error { return &kv.Unavailable{Outcome: kv.None, Reason: "too few"} }
	if p := h.do("POST", "/setAll", strings.NewReader(lines(10))).loadProblem(t, 503, "unavailable"); p.Outcome != "none" || p.Next != 0 {
		t.Errorf("%+v", p) // it carries X-Viakv-Retriable, too
	}
	odd := 0
	store.fail = func(string) error {
		if odd++; odd%2 == 0 {
			return full
		}
		return nil
	}
	p = h.do("POST", "/setAll", strings.NewReader(lines(100_000))).loadProblem(t, 507, "memory-limit")
	if n := int64(len(p.Failed)); n < maxFaults || n > maxFaults+maxBatch/2 || p.Stored+n != p.Next-1 {
		t.Errorf("%d failed, %d stored, next %d", n, p.Stored, p.Next)
	}
}

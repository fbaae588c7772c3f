package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
)

// keysAsked returns the query that names keys.
func keysAsked(keys ...string) string {
	return url.Values{"k": keys}.Encode()
}

// Each key has a row, in the order in which the keys were named first. All ways to name them give
// the same answer.
func TestManyGets(t *testing.T) {
	h := start(t, Config{})
	odd := "odd\u2028\"\\\n\x00é😀"
	longest, value := strings.Repeat("😀", kv.MaxKeyCharacters), strings.Repeat("€", kv.MaxValueCharacters)
	for k, v := range map[string]string{"a": "1", "empty": "", odd: odd, longest: value} {
		h.get("/set?"+url.Values{"k": {k}, "v": {v}}.Encode()).want(t, 200, "OK\n")
	}
	keys := []string{"missing", "a", longest, "a", odd, "empty", "missing"}
	var asLines strings.Builder
	for _, k := range keys {
		asLines.WriteString(string(appendJSON(nil, []byte(k))) + "\n")
	}
	asArray, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	row := func(s string) string { return string(appendJSON(nil, []byte(s))) }
	object := `{"missing":null,` + "\n" + `"a":"1",` + "\n" + row(longest) + ":" + row(value) + ",\n" + row(odd) + ":" + row(odd) + ",\n" + `"empty":""}` + "\n"
	ndjson := `{"key":"missing","value":null}` + "\n" + `{"key":"a","value":"1"}` + "\n" +
		`{"key":` + row(longest) + `,"value":` + row(value) + "}\n" + `{"key":` + row(odd) + `,"value":` + row(odd) + "}\n" +
		`{"key":"empty","value":""}` + "\n" + `{"end":true,"count":5}` + "\n"
	for format, want := range map[string]string{"": object, "json": object, "ndjson": ndjson} {
		query := ""
		if format != "" {
			query = "format=" + format
		}
		h.get("/getMany?"+query+"&"+keysAsked(keys...)).want(t, 200, want)
		h.do("POST", "/getMany?"+query, strings.NewReader(asLines.String())).want(t, 200, want)
		h.do("POST", "/getMany?"+query, strings.NewReader(string(asArray)), "Content-Type", jsonType).want(t, 200, want)
		h.do("POST", "/getMany?"+query+"&"+keysAsked(keys...), nil).want(t, 200, want)
	}
	h.do("GET", "/getMany?k=a", nil, "Accept", ndjsonType).want(t, 200, `{"key":"a","value":"1"}`+"\n"+`{"end":true,"count":1}`+"\n")
	h.do("HEAD", "/getMany?k=a", nil).want(t, 200, "")
	h.do("POST", "/getMany", strings.NewReader("[]")).want(t, 200, "{}\n")
	h.do("POST", "/getMany", nil).want(t, 200, "{}\n")
	// What the API writes of keys can be sent back.
	all := map[string]string{}
	for _, target := range []string{"/getKeys", "/getKeys?format=ndjson", "/getAll?format=ndjson"} {
		a := h.do("POST", "/getMany", strings.NewReader(h.get(target).body))
		if err := json.Unmarshal([]byte(a.body), &all); err != nil || len(all) != 4 || all[odd] != odd {
			t.Errorf("%s: %v, %q", target, err, a.body)
		}
	}
}

func TestManyGetsHaveALimit(t *testing.T) {
	h := start(t, Config{})
	body := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "\"k%d\"\n\"k%d\"\n", i, i)
		}
		return b.String()
	}
	if a := h.do("POST", "/getMany?format=ndjson", strings.NewReader(body(maxKeys))); a.status != 200 || strings.Count(a.body, "\n") != maxKeys+1 {
		t.Errorf("%d, %.100q", a.status, a.body)
	}
	h.do("POST", "/getMany", strings.NewReader(body(maxKeys+1))).problem(t, 413, "body-too-large")
	longest := strings.Repeat(`\ud83d\ude00`, kv.MaxKeyCharacters)
	h.do("POST", "/getMany", strings.NewReader(strings.Repeat(`"`+longest+`"`+"\n", maxKeysBytes/len(longest)))).problem(t, 413, "body-too-large")
}

func TestManyGetsThatAreRefused(t *testing.T) {
	s := &recorder{}
	h := start(t, Config{Store: s})
	var b strings.Builder
	for i := range maxKeys + 1 {
		fmt.Fprintf(&b, "k=%d&", i)
	}
	manyKeys := b.String()
	for target, slug := range map[string]string{
		"/getMany?" + manyKeys: "bad-parameter",
		"/getMany":             "bad-parameter", "/getMany?k=": "bad-parameter", "/getMany?k=a&k=%zz": "bad-parameter", "/getMany?k=a&k=": "bad-parameter",
		"/getMany?k=a&k=" + strings.Repeat("x", kv.MaxKeyCharacters+1): "bad-parameter", "/getMany?k=a&format=x": "bad-parameter",
		"/getMany?k=a&r=0": "bad-parameter",
	} {
		h.get(target).problem(t, 400, slug)
	}
	for body, detail := range map[string]string{
		"color\n":    "line 1: no JSON: 'c' at byte 1 is not a key in quotes",
		"\"a\"\n\"b": "line 2: the input ends in the middle of the line",
		`["a",`:      "key 2: the input ends before the array does",
		`[""]`:       "key 1: the key is empty",
	} {
		if p := h.do("POST", "/getMany", strings.NewReader(body)).problem(t, 400, "bad-line"); !strings.Contains(p.Detail, detail) {
			t.Errorf("%q: %s", body, p.Detail)
		}
	}
	h.do("POST", "/getMany?k=a", strings.NewReader(`["b"]`)).problem(t, 400, "bad-parameter")
	h.do("POST", "/getMany", strings.NewReader("x"), "Content-Encoding", "gzip").problem(t, 415, "media-type")
	if n := s.calls.Load(); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
}

// partly is a store that cannot read one of many keys.
type partly struct {
	kvtest.Reference
	fault error
}

func (s *partly) GetMany(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
	dst = s.Reference.GetMany(ctx, dst, reads, o)
	if s.fault != nil {
		reads[len(reads)-1].Err = s.fault
	}
	return dst
}

// A key that cannot be read fails the request as a whole. To the figures each key is a read.
func TestManyGetsThatFail(t *testing.T) {
	for _, c := range []struct {
		fault   error
		status  int
		slug    string
		refused uint64
	}{
		{nil, 200, "", 0},
		{&kv.Unavailable{Reason: "no quorum"}, 503, "unavailable", 3},
		{&kv.Unavailable{Reason: "too much", RetryAfter: time.Second}, 503, "overloaded", 3},
		{io.ErrUnexpectedEOF, 500, "internal", 3},
	} {
		h := start(t, Config{Store: &partly{fault: c.fault}})
		a := h.get("/getMany?k=a&k=b&k=c&k=a")
		if c.fault == nil {
			a.want(t, 200, `{"a":null,`+"\n"+`"b":null,`+"\n"+`"c":null}`+"\n")
		} else if p := a.problem(t, c.status, c.slug); p.Outcome != "none" {
			t.Errorf("%v: %+v", c.fault, p)
		}
		if f := h.server.Figures(); f.ReadsAnswered != 3-c.refused || f.ReadsRefused != c.refused {
			t.Errorf("%v: %+v", c.fault, f)
		}
	}
}

// An answer of a few rows is sent as it is, and a longer one compressed if the client wants that.
func TestManyGetsAreCompressed(t *testing.T) {
	h := start(t, Config{})
	var names []string
	for i := range 300 {
		names = append(names, fmt.Sprint("key-", i))
		h.get(fmt.Sprintf("/set?k=key-%d&v=%s", i, strings.Repeat("x", 100))).want(t, 200, "OK\n")
	}
	plain := h.get("/getMany?"+keysAsked(names...), "Accept-Encoding", "identity")
	a := h.get("/getMany?"+keysAsked(names...), "Accept-Encoding", "gzip")
	if a.header.Get("Content-Encoding") != "gzip" || len(a.body) >= len(plain.body)/2 || a.header.Get("Vary") != "Accept, Accept-Encoding" {
		t.Fatalf("%d bytes of %d, %v", len(a.body), len(plain.body), a.header)
	}
	unzip, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(unzip); err != nil || string(got) != plain.body {
		t.Errorf("%v, %.100q", err, got)
	}
	few := h.get("/getMany?k=key-1", "Accept-Encoding", "gzip")
	if few.want(t, 200, "*"); few.header.Get("Content-Encoding") != "" {
		t.Errorf("%v", few.header)
	}
}

// All requests together look up so many keys at once. Further ones wait until there is room, for as
// long as a request may take.
func TestManyGetsWaitForRoom(t *testing.T) {
	h := start(t, Config{Timeout: 100 * time.Millisecond})
	if !h.server.keys.TryAcquire(maxKeysAtOnce - 1) {
		t.Fatal("no room")
	}
	h.get("/getMany?k=a").want(t, 200, `{"a":null}`+"\n")
	p := h.get("/getMany?k=a&k=b").problem(t, 503, "overloaded")
	if f := h.server.Figures(); f.ReadsAnswered != 1 || f.ReadsRefused != 2 {
		t.Errorf("%+v", f)
	}
	if p.Outcome != "none" || !strings.Contains(p.Detail, "64000") || !strings.Contains(h.get("/metrics").body, "viakv_http_overloads_total 1\n") {
		t.Errorf("%+v", p)
	}
	patient := start(t, Config{Timeout: time.Minute})
	if !patient.server.keys.TryAcquire(maxKeysAtOnce) {
		t.Fatal("no room")
	}
	answered := make(chan answer, 1)
	go func() { answered <- patient.get("/getMany?k=a&k=b") }()
	select {
	case a := <-answered:
		t.Fatalf("without room: %d", a.status)
	case <-time.After(50 * time.Millisecond):
	}
	patient.server.keys.Release(maxKeysAtOnce)
	(<-answered).want(t, 200, "*")
	if !patient.server.keys.TryAcquire(maxKeysAtOnce) {
		t.Error("the keys of requests that have ended still count")
	}
}

// Many requests at once, of few keys and of many, get their own values: their memory is used again.
func TestManyGetsAtOnce(t *testing.T) {
	h := start(t, Config{})
	const keys = 2000
	for i := range keys {
		h.get(fmt.Sprintf("/set?k=%d&v=%s", i, strings.Repeat(fmt.Sprint(i, "."), 1+i%20))).want(t, 200, "OK\n")
	}
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(c)))
			for range 50 {
				body := []byte{'['}
				var asked []string
				for range 1 + random.IntN([]int{3, 30, 1000}[random.IntN(3)]) {
					key := fmt.Sprint(random.IntN(2 * keys))
					asked = append(asked, key)
					body = append(append(body, `"`+key+`"`...), ',')
				}
				body[len(body)-1] = ']'
				a := h.do("POST", "/getMany", bytes.NewReader(body), "Accept-Encoding", "identity")
				found := map[string]*string{}
				if err := json.Unmarshal([]byte(a.body), &found); err != nil || a.status != 200 {
					t.Errorf("%d, %v", a.status, err)
					return
				}
				for _, key := range asked {
					i, _ := strconv.Atoi(key)
					value, named := found[key]
					if there := value != nil; !named || there != (i < keys) || there && *value != strings.Repeat(key+".", 1+i%20) {
						t.Errorf("%s: %v", key, value)
						return
					}
				}
			}
		})
	}
	clients.Wait()
}

// Keys of one hash are different keys.
func TestKeysThatShareAHash(t *testing.T) {
	g := manyGets.New().(*gets)
	a, b := []byte("a"), []byte("b")
	if !g.add(a) {
		t.Fatal("not added")
	}
	g.named[maphash.Bytes(keySeed, b)] = 0 // as if a had the hash of b
	for range 2 {
		if !g.add(b) || !g.add(a) || len(g.reads) != 2 || string(g.reads[1].Key) != "b" {
			t.Fatalf("%q", g.reads)
		}
	}
}

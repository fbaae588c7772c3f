package api

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func TestDataEndpoints(t *testing.T) {
	h := start(t, Config{})
	h.get("/get?k=a").problem(t, 404, "missing")
	h.get("/is?k=a").problem(t, 404, "missing")
	h.get("/rm?k=a").problem(t, 404, "missing")
	h.get("/set?k=a&v=1").want(t, 200, "OK\n")
	h.get("/get?k=a").want(t, 200, "1")
	h.get("/is?k=a").want(t, 200, "OK\n")
	h.get("/set?k=a&v=").want(t, 200, "OK\n")
	h.get("/get?k=a").want(t, 200, "")
	h.get("/rm?k=a").want(t, 200, "OK\n")
	h.get("/get?k=a").problem(t, 404, "missing")
	h.post("/set", url.Values{"k": {"b c"}, "v": {"d&e=f"}}).want(t, 200, "OK\n")
	h.do("POST", "/set?k=p", strings.NewReader("v=q"), "Content-Type", "Application/X-WWW-Form-Urlencoded; charset=utf-8").want(t, 200, "OK\n")
	h.do("POST", "/set?k=query&v=only", nil).want(t, 200, "OK\n")
	h.get("/get?k=b+c").want(t, 200, "d&e=f")
	h.get("/getKeys").want(t, 200, "[\"b c\",\n\"p\",\n\"query\"]\n")
	h.get("/getValues").want(t, 200, "[\"d&e=f\",\n\"q\",\n\"only\"]\n")
	h.get("/getAll").want(t, 200, "{\"b c\":\"d&e=f\",\n\"p\":\"q\",\n\"query\":\"only\"}\n")
	h.post("/rm", url.Values{"k": {"p"}}).want(t, 200, "OK\n")
	h.post("/clear", nil).want(t, 200, "OK\n")
	h.get("/getAll").want(t, 200, "{}\n")
	h.get("/getKeys").want(t, 200, "[]\n")
	h.get("/clear").want(t, 200, "OK\n")
}

func TestHeadersOfAnAnswer(t *testing.T) {
	h := start(t, Config{})
	h.get("/set?k=a&v=1")
	for _, path := range []string{"/get?k=a", "/get?k=none", "/getAll", "/nothing", "/set?k=a&v=2", "/livez", "/cluster"} {
		a := h.get(path)
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", path, a.header)
		}
	}
	if got := h.get("/get?k=a").header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("got content type %q", got)
	}
}

func TestJSONAnswers(t *testing.T) {
	h := start(t, Config{})
	h.get("/set?k=%22a&v=%0A", "Accept", "application/json").want(t, 200, `{"key":"\"a","version":"0.1@1"}`+"\n")
	h.get("/get?k=%22a", "Accept", "application/json").want(t, 200, `{"key":"\"a","value":"\n","version":"0.1@1"}`+"\n")
	h.get("/is?k=%22a", "Accept", "application/*").want(t, 200, `{"key":"\"a","version":"0.1@1"}`+"\n")
	h.get("/rm?k=%22a", "Accept", "application/json").want(t, 200, `{"key":"\"a","removed":true}`+"\n")
	h.get("/clear", "Accept", "application/json").want(t, 200, `{"cleared":true}`+"\n")
	h.get("/set?k=b&v=c", "Accept", "text/html,application/json;q=0.5,*/*;q=0.8").want(t, 200, "OK\n")
}

func TestQuality(t *testing.T) {
	for _, c := range []struct {
		accept string
		want   int // index into text/plain, application/json
	}{
		{"application/json", 1}, {"text/plain", 0}, {"*/*", 0}, {"text/*", 0}, {"application/*", 1}, {"APPLICATION/JSON", 1},
		{"application/json;q=0", 0}, {"text/plain;q=0.5, application/json;q=0.6", 1}, {"text/plain;q=0.5;x=y, */*", 1}, {"image/png", 0},
		{"application/json; q=high", 0}, {"application/json;q=2", 0}, {"application/json;charset=utf-8", 1}, {",,;q=1,", 0}, {"application/jsonx", 0}, {"app/*", 0},
	} {
		if got := prefer([]byte(c.accept), "text/plain", "application/json"); got != c.want {
			t.Errorf("%q: got %d", c.accept, got)
		}
	}
	for header, want := range map[string]coding{"": identity, "gzip": gzipCoding, "zstd": zstdCoding, "gzip, zstd": zstdCoding, "gzip, zstd;q=0.9": gzipCoding,
		"*": zstdCoding, "*;q=0": identity, "gzip;q=0, *": zstdCoding, "br": identity, "GZIP": gzipCoding, "identity": identity} {
		if got := chooseCoding([]byte(header)); got != want {
			t.Errorf("%q: got %s, want %s", header, got, want)
		}
	}
}

// Keys and values are their characters: NUL, a plus that stands for a space, both forms of é, and
// characters of four bytes.
func TestCharacters(t *testing.T) {
	h := start(t, Config{})
	keys := map[string]string{"\x00": "a\x00b", "a b": "x+y", "\u00e9": "composed", "e\u0301": "decomposed",
		strings.Repeat("𝄞", 64): strings.Repeat("😀", 256), "\u2028": "\u2029\ufeff", "a/b?c#d": "%"}
	for k, v := range keys {
		if a := h.get("/set?" + url.Values{"k": {k}, "v": {v}}.Encode()); a.status != 200 {
			t.Errorf("%q: %d %s", k, a.status, a.body)
		}
	}
	for k, v := range keys {
		h.get("/get?k="+url.QueryEscape(k)).want(t, 200, v)
	}
	var all map[string]string
	if err := json.Unmarshal([]byte(h.get("/getAll").body), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != len(keys) {
		t.Errorf("got %d pairs, want %d", len(all), len(keys))
	}
	for k, v := range keys {
		if all[k] != v {
			t.Errorf("%q: got %q, want %q", k, all[k], v)
		}
	}
	// Bytes beyond ASCII may also stand in the target as they are.
	if got := h.raw("GET /get?k=é HTTP/1.0\r\n\r\n"); !strings.HasSuffix(got, "\r\n\r\ncomposed") {
		t.Errorf("got %q", got)
	}
}

func TestLongestLegalURLWithOrdinaryHeaders(t *testing.T) {
	h := start(t, Config{})
	target := "/set?k=" + url.QueryEscape(strings.Repeat("𝄞", 64)) + "&v=" + url.QueryEscape(strings.Repeat("😀", 256))
	if len(target) < 3800 {
		t.Fatalf("only %d bytes", len(target))
	}
	h.get(target, "Cookie", strings.Repeat("c", 4<<10), "X-Other", strings.Repeat("o", 4<<10)).want(t, 200, "OK\n")
}

func TestBadParameters(t *testing.T) {
	store := &recorder{}
	h := start(t, Config{Store: store})
	long, longValue := strings.Repeat("x", 65), strings.Repeat("y", 257)
	for _, c := range []struct{ target, parameter, detail string }{
		{"/set", "k", "1 to 64"},
		{"/set?k=&v=1", "k", "empty"},
		{"/set?k&v=1", "k", "empty"},
		{"/set?k=a", "v", "0 to 256"},
		{"/set?k=" + long + "&v=1", "k", "more than 64"},
		{"/set?k=" + strings.Repeat("%F0%9F%98%80", 65) + "&v=1", "k", "more than 64"},
		{"/set?k=" + strings.Repeat("%C3%A9", 65) + "&v=1", "k", "more than 64"},
		{"/set?k=a&v=" + longValue, "v", "more than 256"},
		{"/set?k=a&v=" + strings.Repeat("%F0%9F%98%80", 257), "v", "more than 256"},
		{"/set?k=a&v=" + strings.Repeat("+", 257), "v", "more than 256"},
		{"/set?k=a&v=1&v=2", "v", "more than once"},
		{"/set?k=a&k=a&v=1", "k", "more than once"},
		{"/set?k=a&%6b=a&v=1", "k", "more than once"},
		{"/set?k=%zz&v=1", "k", "hexadecimal"},
		{"/set?k=%&v=1", "k", "hexadecimal"},
		{"/set?k=%4&v=1", "k", "hexadecimal"},
		{"/set?k=a&v=%", "v", "hexadecimal"},
		{"/set?k=a&v=100%", "v", "hexadecimal"},
		{"/set?k=%ff&v=1", "k", "UTF-8"},
		{"/set?k=%C3&v=1", "k", "UTF-8"},
		{"/set?k=%ED%A0%80&v=1", "k", "UTF-8"}, // a surrogate
		{"/set?k=%C0%80&v=1", "k", "UTF-8"},    // an overlong NUL
		{"/set?k=%F4%90%80%80&v=1", "k", "UTF-8"},
		{"/set?k=a&v=1&w=0", "w", "number of replicas"},
		{"/set?k=a&v=1&w=-1", "w", "number of replicas"},
		{"/set?k=a&v=1&w=1e3", "w", "number of replicas"},
		{"/set?k=a&v=1&w=99999999999999999999", "w", "number of replicas"},
		{"/set?k=a&v=1&w=", "w", "number of replicas"},
		{"/get?k=a&r=most", "r", "number of replicas"},
		{"/get?r=1", "k", "missing"},
		{"/is", "k", "missing"},
		{"/rm?K=a", "k", "missing"},
		{"/getKeys?limit=0", "limit", "1 to 10000"},
		{"/getKeys?limit=10001", "limit", "1 to 10000"},
		{"/getKeys?limit=", "limit", "1 to 10000"},
		{"/getKeys?limit=+1", "limit", "1 to 10000"},
		{"/getKeys?limit=1&limit=1", "limit", "more than once"},
		{"/getAll?format=xml", "format", "json or ndjson"},
		{"/getAll?snapshot=maybe", "snapshot", "true or false"},
		{"/getAll?snapshot=1&limit=5", "snapshot", "leave limit and cursor out"},
		{"/getAll?snapshot=true&cursor=x", "snapshot", "leave limit and cursor out"},
		{"/getAll?prefix=" + long, "prefix", "more than 64"},
		{"/getAll?prefix=%ff", "prefix", "UTF-8"},
		{"/getAll?cursor=" + strings.Repeat("c", 513), "cursor", "more than 512"},
		{"/getAll?cursor=%f", "cursor", "hexadecimal"},
		{"/getAll?format=%f", "format", "hexadecimal"},
		{"/join", "peer", "host:port"},
		{"/join?peer=", "peer", "host:port"},
		{"/join?peer=node", "peer", "host:port"},
		{"/join?peer=:9000", "peer", "host:port"},
		{"/join?peer=node:0", "peer", "host:port"},
		{"/join?peer=node:65536", "peer", "host:port"},
		{"/join?peer=node:http", "peer", "host:port"},
		{"/join?peer=%f", "peer", "hexadecimal"},
		{"/leave?node=", "node", "empty"},
		{"/leave?node=%f", "node", "hexadecimal"},
		{"/leave?force=yes", "force", "true or false"},
		{"/reads", "mode", "lease"}, {"/reads?mode=", "mode", "quorum"}, {"/reads?mode=Lease", "mode", "lease"},
	} {
		p := h.get(c.target).problem(t, 400, "bad-parameter")
		if p.Parameter != c.parameter || !strings.Contains(p.Detail, c.detail) || p.Outcome != "none" {
			t.Errorf("%.80s: got %+v, want parameter %s and %q", c.target, p, c.parameter, c.detail)
		}
	}
	p := h.post("/set?k=a", url.Values{"k": {"a"}, "v": {"1"}}).problem(t, 400, "bad-parameter")
	if p.Parameter != "k" || !strings.Contains(p.Detail, "more than once") {
		t.Errorf("in query and form: %+v", p)
	}
	if got := h.raw("GET /set?k=a&v=1#2 HTTP/1.0\r\n\r\n"); !strings.Contains(got, "%23") {
		t.Errorf("a fragment: %q", got)
	}
	if n := store.calls.Load(); n != 0 {
		t.Errorf("the store was called %d times (A1)", n)
	}
}

// A value exactly at a limit passes. A parameter that an endpoint does not know is not looked at.
func TestGoodParameters(t *testing.T) {
	h := start(t, Config{})
	for _, target := range []string{
		"/set?k=" + strings.Repeat("x", 64) + "&v=" + strings.Repeat("y", 256),
		"/set?k=" + strings.Repeat("%C3%A9", 64) + "&v=" + strings.Repeat("%00", 256),
		"/set?k=a&v=1&ttl=%zz&ttl=%zz&&=&%zz=1&limit=x&limit=y",
		"/set?%6B=a&%76=1",
		"/set?k=a&v",
		"/set?k=a&v=a=b=c;d",
		"/set?k=a&v=1&r=1&w=all",
		"/set?k=a&v=1&r=quorum",
		"/getKeys?limit=10000&k=%zz",
		"/getKeys?cursor=",
		"/getAll?snapshot=1&format=json&prefix=",
		"/getAll?snapshot=false",
	} {
		h.get(target).want(t, 200, "*")
	}
	p := h.get("/set?k=a&v=1&w=2").problem(t, 400, "bad-parameter")
	if p.Parameter != "w" {
		t.Errorf("the store's own refusal: %+v", p)
	}
}

func TestBodies(t *testing.T) {
	h := start(t, Config{})
	h.do("POST", "/set?k=a", strings.NewReader(`{"v":"1"}`), "Content-Type", "application/json").problem(t, 415, "media-type")
	h.do("POST", "/set?k=a&v=1", strings.NewReader("v=2"), "Content-Type", "multipart/form-data; boundary=b").problem(t, 415, "media-type")
	h.do("GET", "/set?k=a&v=1", strings.NewReader("v=2"), "Content-Type", "application/x-www-form-urlencoded").want(t, 200, "OK\n")
	h.get("/get?k=a").want(t, 200, "1")
	long := url.Values{"k": {strings.Repeat("𝄞", 64)}, "v": {strings.Repeat("😀", 256)}}
	h.post("/set", long).want(t, 200, "OK\n")
	h.do("POST", "/set", strings.NewReader("k=a&v="+strings.Repeat("x", 20<<10)), "Content-Type", "application/x-www-form-urlencoded").
		problem(t, 413, "body-too-large")
}

func TestMethods(t *testing.T) {
	h := start(t, Config{})
	h.get("/set?k=a&v=12345")
	for _, path := range []string{"/get?k=a", "/is?k=a", "/getKeys", "/getValues", "/getAll?limit=1", "/cluster", "/livez", "/readyz", "/metrics", "/version", "/openapi.yaml"} {
		full, head := h.get(path), h.do("HEAD", path, nil)
		if head.status != 200 || head.body != "" || head.header.Get("Content-Type") != full.header.Get("Content-Type") {
			t.Errorf("HEAD %s: %+v", path, head)
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH"} {
			a := h.do(method, path, nil)
			a.problem(t, 405, "method-not-allowed")
			if got := a.header.Get("Allow"); got != "GET, HEAD" {
				t.Errorf("%s %s allows %q", method, path, got)
			}
		}
	}
	if got := h.do("HEAD", "/get?k=a", nil).header.Get("Content-Length"); got != "5" {
		t.Errorf("HEAD: content length %q", got)
	}
	h.get("/set?k=empty&v=")
	if got := h.do("HEAD", "/get?k=empty", nil).header.Get("Content-Length"); got != "0" {
		t.Errorf("HEAD of an empty value: content length %q", got)
	}
	if a := h.do("HEAD", "/get?k=none", nil); a.status != 404 || a.body != "" {
		t.Errorf("HEAD of a missing key: %+v", a)
	}
	for _, path := range []string{"/set?k=a&v=1", "/rm?k=a", "/clear", "/join?peer=a:1", "/leave", "/reads?mode=lease"} {
		for _, method := range []string{"HEAD", "OPTIONS", "PUT", "DELETE"} {
			a := h.do(method, path, nil)
			if a.status != 405 || a.header.Get("Allow") != "GET, POST" {
				t.Errorf("%s %s: %+v", method, path, a)
			}
		}
	}
	h.get("/get?k=a").want(t, 200, "12345")
}

func TestUnknownPaths(t *testing.T) {
	h := start(t, Config{})
	for _, path := range []string{"/", "/nothing", "/set/", "/SET?k=a&v=1", "//set?k=a&v=1", "/./set?k=a&v=1", "/%73et?k=a&v=1", "/debug/pprof/"} {
		p := h.get(path).problem(t, 404, "no-such-endpoint")
		if len(p.Endpoints) != len(endpoints) || p.Endpoints[0] != "/get" {
			t.Errorf("%s: endpoints %v", path, p.Endpoints)
		}
	}
	h.do("POST", "/nothing", nil).problem(t, 404, "no-such-endpoint")
	h.do("OPTIONS", "/nothing", nil).problem(t, 404, "no-such-endpoint")
	if h.get("/getKeys").body != "[]\n" {
		t.Error("something was stored")
	}
}

package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
)

// filled returns a store of n pairs, with characters that need escapes, and the pairs.
func filled(t testing.TB, n int) (*kvtest.Reference, map[string]string) {
	t.Helper()
	s, want := &kvtest.Reference{}, make(map[string]string, n)
	for i := range n {
		k, v := fmt.Sprintf("key-%06d-\"é\u2028\x00", i), strings.Repeat("v\n", i%100)+"\\𝄞"
		if _, err := s.Set(context.Background(), []byte(k), []byte(v), kv.Options{}); err != nil {
			t.Fatal(err)
		}
		want[k] = v
	}
	return s, want
}

func unpack(t testing.TB, a answer) string {
	t.Helper()
	var r io.Reader = strings.NewReader(a.body)
	switch a.header.Get("Content-Encoding") {
	case "":
		return a.body
	case "gzip":
		g, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = g
	case "zstd":
		z, err := zstd.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	default:
		t.Fatalf("coding %q", a.header.Get("Content-Encoding"))
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every form of a scan delivers every pair once: below and above what one buffer holds, in each
// format and coding.
func TestScansAreComplete(t *testing.T) {
	t.Parallel()
	most := 20_000
	if testing.Short() {
		most = 2_000
	}
	for _, n := range []int{0, 1, 300, most} {
		store, want := filled(t, n)
		h := start(t, Config{Store: store})
		for _, coding := range []string{"", "gzip", "zstd", "gzip;q=0.5, zstd;q=0.1", "br, *;q=0.1", "identity"} {
			t.Run(fmt.Sprintf("%d/%s", n, coding), func(t *testing.T) {
				headers := []string{"Accept-Encoding", coding}
				all := h.get("/getAll", headers...)
				large := n > 1000
				if got := all.header.Get("Content-Length") == ""; got != large {
					t.Errorf("streamed: %v", got)
				}
				if wantCoding := n > 1 && coding != "" && coding != "identity"; (all.header.Get("Content-Encoding") != "") != wantCoding {
					t.Errorf("content encoding %q", all.header.Get("Content-Encoding"))
				}
				var pairs map[string]string
				if err := json.Unmarshal([]byte(unpack(t, all)), &pairs); err != nil {
					t.Fatal(err)
				}
				samePairs(t, pairs, want)

				// Keys and values come in the same order.
				var keys, values []string
				if err := json.Unmarshal([]byte(unpack(t, h.get("/getKeys", headers...))), &keys); err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal([]byte(unpack(t, h.get("/getValues", headers...))), &values); err != nil {
					t.Fatal(err)
				}
				if len(keys) != n || len(values) != n {
					t.Fatalf("%d keys and %d values, want %d", len(keys), len(values), n)
				}
				zipped := make(map[string]string, n)
				for i := range keys {
					zipped[keys[i]] = values[i]
				}
				samePairs(t, zipped, want)

				// The same pairs as lines, with a last line that counts them.
				a := h.get("/getAll", append(headers, "Accept", "application/x-ndjson")...)
				if got := a.header.Get("Content-Type"); got != "application/x-ndjson" {
					t.Errorf("content type %q", got)
				}
				got, end := ndjson(t, unpack(t, a))
				samePairs(t, got, want)
				if !end.End || end.Count != n || end.Cursor != "" {
					t.Errorf("last line %+v", end)
				}
			})
		}
	}
}

func TestKeysAndValuesAsLines(t *testing.T) {
	h := start(t, Config{})
	h.get("/set?k=b&v=2")
	h.get("/set?k=a&v=%221")
	h.get("/getKeys?format=ndjson").want(t, 200, "\"a\"\n\"b\"\n{\"end\":true,\"count\":2}\n")
	h.get("/getValues?format=ndjson").want(t, 200, "\"\\\"1\"\n\"2\"\n{\"end\":true,\"count\":2}\n")
	h.get("/getAll?format=ndjson&prefix=b").want(t, 200, "{\"key\":\"b\",\"value\":\"2\"}\n{\"end\":true,\"count\":1}\n")
	h.get("/getAll?format=json", "Accept", "application/x-ndjson").want(t, 200, "{\"a\":\"\\\"1\",\n\"b\":\"2\"}\n")
	h.get("/getKeys?prefix=c", "Accept", "application/json;q=0.1,application/x-ndjson").want(t, 200, "{\"end\":true,\"count\":0}\n")
}

type endLine struct {
	End    bool
	Count  int
	Cursor string
}

// ndjson parses pairs and the last line.
func ndjson(t testing.TB, body string) (map[string]string, endLine) {
	t.Helper()
	pairs, end := make(map[string]string), endLine{}
	for line := range strings.Lines(body) {
		if end.End {
			t.Fatalf("%q after the last line", line)
		}
		var row struct {
			Key, Value *string
			endLine
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if row.Key == nil {
			end = row.endLine
			continue
		}
		if _, twice := pairs[*row.Key]; twice {
			t.Errorf("%q came twice", *row.Key)
		}
		pairs[*row.Key] = *row.Value
	}
	return pairs, end
}

func samePairs(t testing.TB, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d pairs, want %d", len(got), len(want))
		return
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%q: got %q, want %q", k, got[k], v)
			return
		}
	}
}

func TestPages(t *testing.T) {
	store, want := filled(t, 2500)
	h := start(t, Config{Store: store})
	for _, limit := range []int{1000, 256, 625, 2500, 2499, 10_000} {
		got, pages, cursor := make(map[string]string), 0, ""
		for {
			target := fmt.Sprintf("/getAll?limit=%d&format=ndjson&cursor=%s", limit, url.QueryEscape(cursor))
			a := h.get(target, "Accept-Encoding", "gzip")
			page, end := ndjson(t, unpack(t, a))
			if len(page) > limit || end.Count != len(page) {
				t.Errorf("limit %d: a page of %d, %+v", limit, len(page), end)
			}
			if a.header.Get("Content-Length") == "" {
				t.Error("a page is a stream")
			}
			for k, v := range page {
				if _, twice := got[k]; twice {
					t.Errorf("%q is on two pages", k)
				}
				got[k] = v
			}
			pages++
			cursor = a.header.Get("X-Viakv-Cursor")
			if cursor != end.Cursor {
				t.Errorf("cursor %q in the header, %q in the last line", cursor, end.Cursor)
			}
			if cursor == "" {
				break
			}
		}
		samePairs(t, got, want)
		if wantPages := (len(want) + limit - 1) / limit; pages != wantPages {
			t.Errorf("limit %d: %d pages, want %d", limit, pages, wantPages)
		}
	}
	// A stream may resume where a page has ended, and a HEAD has the headers of a page.
	first := h.get("/getKeys?limit=10")
	rest := h.get("/getKeys?cursor=" + url.QueryEscape(first.header.Get("X-Viakv-Cursor")))
	var a, b []string
	if json.Unmarshal([]byte(first.body), &a) != nil || json.Unmarshal([]byte(rest.body), &b) != nil || len(a) != 10 || len(a)+len(b) != len(want) {
		t.Errorf("%d and %d keys", len(a), len(b))
	}
	head := h.do("HEAD", "/getKeys?limit=10", nil)
	if head.header.Get("X-Viakv-Cursor") != first.header.Get("X-Viakv-Cursor") || head.header.Get("Content-Length") != first.header.Get("Content-Length") {
		t.Errorf("HEAD: %v", head.header)
	}
	// A clear invalidates the cursors made before it.
	h.get("/clear")
	h.get("/getKeys?limit=10&cursor="+url.QueryEscape(first.header.Get("X-Viakv-Cursor"))).problem(t, 400, "bad-cursor")
	h.get("/getKeys?cursor=nonsense").problem(t, 400, "bad-cursor")
}

// A page ends before its limit when it has maxPageBytes.
func TestPagesAreBounded(t *testing.T) {
	store := &kvtest.Reference{}
	value := []byte(strings.Repeat("\x01", kv.MaxValueCharacters)) // six bytes each
	const n = 4000
	for i := range n {
		if _, err := store.Set(context.Background(), fmt.Appendf(nil, "%d", i), value, kv.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	h := start(t, Config{Store: store})
	a := h.get("/getAll?limit=10000&format=ndjson")
	page, end := ndjson(t, a.body)
	if len(a.body) < maxPageBytes || len(a.body) > maxPageBytes+2*maxRow || end.Cursor == "" {
		t.Errorf("%d bytes, %+v", len(a.body), end)
	}
	rest, end := ndjson(t, h.get("/getAll?limit=10000&format=ndjson&cursor="+url.QueryEscape(end.Cursor)).body)
	if len(page)+len(rest) != n || end.Cursor != "" {
		t.Errorf("%d and %d pairs, %+v", len(page), len(rest), end)
	}
}

// endless is a store whose scan goes on for ever, or fails after some batches.
type endless struct {
	kvtest.Reference
	batches int // before the fault; 0: for ever
	fault   func() error
	closed  atomic.Int64
	served  atomic.Int64
}

func (s *endless) Scan(context.Context, kv.ScanOptions) (kv.Scanner, error) {
	return &endlessScanner{store: s}, nil
}

type endlessScanner struct {
	store *endless
	n     int
	pairs []kv.Pair
}

func (s *endlessScanner) Next(ctx context.Context, b *kv.Batch) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if s.n++; s.store.batches > 0 && s.n > s.store.batches {
		return false, s.store.fault()
	}
	if s.pairs == nil {
		value := bytes.Repeat([]byte("v"), 200)
		for i := range 256 {
			s.pairs = append(s.pairs, kv.Pair{Key: fmt.Appendf(nil, "%d", i), Value: value})
		}
	}
	b.Pairs = append(b.Pairs[:0], s.pairs...)
	s.store.served.Add(256)
	return true, nil
}

func (s *endlessScanner) Cursor(int) string { return "on" }
func (s *endlessScanner) Close()            { s.store.closed.Add(1) }

// A fault before anything was sent is a problem. A fault in mid-stream cuts the connection without
// the last chunk (A2).
func TestFaultsOfScans(t *testing.T) {
	t.Parallel()
	fault := func() error { return kv.ErrSnapshotMoved }
	early := &endless{batches: 1, fault: fault}
	h := start(t, Config{Store: early})
	h.get("/getAll").problem(t, 409, "snapshot-moved")
	if early.closed.Load() != 1 || len(h.server.scans) != 0 {
		t.Error("the scanner was not closed")
	}
	for _, coding := range []string{"identity", "gzip", "zstd"} {
		for name, fault := range map[string]func() error{
			"error": func() error { return kv.ErrCleared },
			"panic": func() error { panic("a fault") },
		} {
			t.Run(coding+"/"+name, func(t *testing.T) {
				late := &endless{batches: 100, fault: fault}
				h := start(t, Config{Store: late})
				r, err := http.NewRequest("GET", "http://"+h.addr+"/getAll", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Accept-Encoding", coding)
				response, err := h.client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if response.StatusCode != 200 {
					t.Errorf("status %d", response.StatusCode)
				}
				if n, err := io.Copy(io.Discard, response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("after %d bytes: %v, want an unexpected end", n, err)
				}
				eventually(t, "the scanner is closed", func() bool { return late.closed.Load() == 1 && len(h.server.scans) == 0 })
				if h.get("/livez").status != 200 {
					t.Error("the server does not go on")
				}
			})
		}
	}
}

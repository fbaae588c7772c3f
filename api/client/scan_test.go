package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"viakv/api"
	"viakv/api/client"
	"viakv/api/kv"
)

// fill stores n pairs, some with characters that JSON escapes, and returns them.
func fill(t *testing.T, c *client.Client, n int) map[string]string {
	t.Helper()
	pairs := map[string]string{}
	for i := range n {
		key, value := fmt.Sprintf("key-%d", i), fmt.Sprintf("value-%d", i)
		switch i % 7 {
		case 3:
			key = "q\"\\\n" + key
		case 4:
			value += "\x00\u2028🜁\""
		case 5:
			value = ""
		}
		pairs[key] = value
		if _, err := c.Set(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	return pairs
}

func TestScans(t *testing.T) {
	c := connectTo(t, serve(t, api.Config{}))
	pairs := fill(t, c, 500)
	for _, o := range []client.ScanOptions{{}, {PageSize: 7}, {PageSize: 500}, {Snapshot: true}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			got := map[string]string{}
			for pair, err := range c.All(t.Context(), o) {
				if err != nil {
					t.Fatal(err)
				}
				if _, twice := got[pair.Key]; twice {
					t.Fatalf("%q came twice", pair.Key)
				}
				got[pair.Key] = pair.Value
			}
			keys, values := 0, 0
			for key, err := range c.Keys(t.Context(), o) {
				if _, there := pairs[key]; err != nil || !there {
					t.Fatalf("%q, %v", key, err)
				}
				keys++
			}
			for _, err := range c.Values(t.Context(), o) {
				if err != nil {
					t.Fatal(err)
				}
				values++
			}
			if keys != len(pairs) || values != len(pairs) || len(got) != len(pairs) {
				t.Fatalf("%d pairs, %d keys, %d values, want %d", len(got), keys, values, len(pairs))
			}
			for k, v := range pairs {
				if got[k] != v {
					t.Fatalf("%q: got %q, want %q", k, got[k], v)
				}
			}
		})
	}
	// A prefix restricts a scan, also across pages.
	n := 0
	for key, err := range c.Keys(t.Context(), client.ScanOptions{Prefix: "q\"", PageSize: 5}) {
		if err != nil || !strings.HasPrefix(key, "q\"") {
			t.Fatalf("%q, %v", key, err)
		}
		n++
	}
	if n != 71 {
		t.Errorf("%d keys with the prefix", n)
	}
	// A scan may be left early.
	for range c.Keys(t.Context(), client.ScanOptions{}) {
		break // the connection is closed, and the client can still be used
	}
	if _, err := c.Get(t.Context(), "key-0"); err != nil {
		t.Error(err)
	}
}

func TestAScanResumesAtItsCursor(t *testing.T) {
	c := connectTo(t, serve(t, api.Config{}))
	pairs := fill(t, c, 50)
	seen := map[string]bool{}
	first := c.Scan(t.Context(), client.ScanAll, client.ScanOptions{PageSize: 20})
	for first.Count() < 30 && first.Next() {
		if first.Count() <= 20 {
			seen[string(first.Key())] = true
		}
	}
	first.Close()
	if first.Next() || first.Err() != nil {
		t.Fatalf("a closed scan goes on, or has failed: %v", first.Err())
	}
	rest := c.Scan(t.Context(), client.ScanKeys, client.ScanOptions{Cursor: first.Cursor()})
	for rest.Next() {
		if seen[string(rest.Key())] {
			t.Fatalf("%q came twice", rest.Key())
		}
		seen[string(rest.Key())] = true
	}
	if rest.Err() != nil || len(seen) != len(pairs) || rest.Cursor() != "" {
		t.Fatalf("%d of %d seen, %v, cursor %q", len(seen), len(pairs), rest.Err(), rest.Cursor())
	}
	want(t, drain(c.Scan(t.Context(), client.ScanKeys, client.ScanOptions{Cursor: "no such"})), 400, kv.None, kv.ErrBadCursor)
}

func drain(s *client.Scanner) error {
	for s.Next() {
	}
	return s.Err()
}

func chunked(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(body), body)
}

// TestACutScanIsAnError is invariant F3.
func TestACutScanIsAnError(t *testing.T) {
	const last = "0\r\n\r\n"
	for name, answer := range map[string]string{
		"connection cut": chunked("\"a\"\n\"b\"\n"),
		"cut in a line":  chunked("\"a\"\n\"b"),
		"no last line":   chunked("\"a\"\n\"b\"\n") + last,
		"count too high": chunked("\"a\"\n{\"end\":true,\"count\":2}\n") + last,
		"count too low":  chunked("\"a\"\n{\"end\":true,\"count\":0}\n") + last,
		"end false":      chunked("\"a\"\n{\"end\":false,\"count\":1}\n") + last,
		"more behind":    chunked("{\"end\":true,\"count\":0}\n\"a\"\n") + last,
		"no JSON":        chunked("nonsense\n{\"end\":true,\"count\":1}\n") + last,
		"bad escape":     chunked("\"\\x\"\n{\"end\":true,\"count\":1}\n") + last,
		"quote within":   chunked("\"a\"b\"\n{\"end\":true,\"count\":1}\n") + last,
	} {
		t.Run(name, func(t *testing.T) {
			s := script(t, func(_ *http.Request, c net.Conn) bool {
				write(c, answer)
				return false
			})
			c := connect(t, client.Config{Endpoints: []string{s.addr}, Timeout: time.Second})
			want(t, drain(c.Scan(t.Context(), client.ScanKeys, client.ScanOptions{})), 0, kv.None, client.ErrCut)
		})
	}
	s := script(t, reply(chunked("{\"key\":\"a\"}\n{\"end\":true,\"count\":1}\n")+last))
	c := connectTo(t, s.addr)
	want(t, drain(c.Scan(t.Context(), client.ScanAll, client.ScanOptions{})), 0, kv.None, client.ErrNotViakv)
}

func TestALongLine(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	s := script(t, reply(chunked("\""+long+"\"\n{\"end\":true,\"count\":1}\n")+"0\r\n\r\n"))
	scan := connectTo(t, s.addr).Scan(t.Context(), client.ScanValues, client.ScanOptions{})
	if !scan.Next() || string(scan.Value()) != long || scan.Next() || scan.Err() != nil || scan.Bytes() < 200<<10 {
		t.Errorf("got %d bytes, %v", len(scan.Value()), scan.Err())
	}
}

func TestAScanGoesToAnotherEndpoint(t *testing.T) {
	addr := serve(t, api.Config{})
	busy := script(t, reply(retriable))
	c := connectTo(t, nowhere(t), busy.addr, addr)
	if err := drain(c.Scan(t.Context(), client.ScanAll, client.ScanOptions{})); err != nil {
		t.Error(err)
	}
	c = connectTo(t, busy.addr)
	want(t, drain(c.Scan(t.Context(), client.ScanAll, client.ScanOptions{})), 503, kv.None, client.ErrUnavailable)
}

func TestAScanEndsWithItsContext(t *testing.T) {
	s := script(t, reply(chunked("\"a\"\n")))
	ctx, cancel := context.WithCancel(t.Context())
	scan := connectTo(t, s.addr).Scan(ctx, client.ScanKeys, client.ScanOptions{})
	if !scan.Next() {
		t.Fatal(scan.Err())
	}
	cancel()
	if scan.Next() || !errors.Is(scan.Err(), context.Canceled) {
		t.Errorf("got %v", scan.Err())
	}
	scan = connect(t, client.Config{Endpoints: []string{s.addr}, Timeout: 20 * time.Millisecond}).Scan(t.Context(), client.ScanKeys, client.ScanOptions{})
	if scan.Next(); scan.Next() || !errors.Is(scan.Err(), client.ErrCut) {
		t.Errorf("a silent stream: got %v", scan.Err())
	}
}

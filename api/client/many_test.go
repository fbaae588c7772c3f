package client_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"viakv/api"
	"viakv/api/client"
	"viakv/api/kv"
)

// Many gets find what there is, whatever the keys and the values have in them, and in as many
// requests as it takes.
func TestManyGets(t *testing.T) {
	c := connectTo(t, serve(t, api.Config{})).With(client.Options{R: 1})
	want := map[string]string{
		"empty": "", "null": "null", " &=+%#?/\x00\x1f\x7f\n\"\\": "\x01</script>\\u0041", "odd\u2028\"é😀": "\ufeff\t",
		strings.Repeat("\x00", kv.MaxKeyCharacters): strings.Repeat("\x1b", kv.MaxValueCharacters),
		strings.Repeat("🜁", kv.MaxKeyCharacters):    strings.Repeat("🜂", kv.MaxValueCharacters),
	}
	for k, v := range numbered(2500) {
		want[k] = v
	}
	for i := range 900 { // fewer than a thousand of them fit a request
		want[strings.Repeat("\x01", kv.MaxKeyCharacters-4)+fmt.Sprintf("%04d", i)] = "escaped"
	}
	if n, err := c.SetMany(t.Context(), maps.All(want)); err != nil || n != int64(len(want)) {
		t.Fatalf("%d stored, %v", n, err)
	}
	keys := []string{"missing", "empty", "empty"}
	for k := range want {
		keys = append(keys, k, fmt.Sprint("missing ", len(keys)))
	}
	got, err := c.GetMany(t.Context(), keys)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%d values, %v, want %d", len(got), err, len(want))
	}
	if got, err := c.GetMany(t.Context(), nil); got == nil || len(got) != 0 || err != nil {
		t.Errorf("no keys: %v, %v", got, err)
	}
}

// A key that no node would take is refused before anything is sent.
func TestKeysThatAreNone(t *testing.T) {
	s := script(t, reply(ok))
	c := connectTo(t, s.addr)
	for _, key := range []string{"", strings.Repeat("é", kv.MaxKeyCharacters+1), "\xff"} {
		got, err := c.GetMany(t.Context(), []string{"a", key})
		if e, is := errors.AsType[*kv.ArgumentError](err); !is || e.Parameter != "key" || got != nil || !strings.HasPrefix(err.Error(), "keys[1]: ") {
			t.Errorf("%q: %v, %v", key, got, err)
		}
	}
	if n := s.requests.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// found is an answer to a request for many keys.
func found(lines ...string) string {
	body := strings.Join(lines, "\n") + "\n"
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// An answer that does not have exactly the keys that were asked for is none of viakv.
func TestAnswersForOtherKeys(t *testing.T) {
	a, b, end := `{"key":"a","value":"1"}`, `{"key":"b","value":null}`, `{"end":true,"count":2}`
	for name, c := range map[string]struct {
		lines []string
		fine  bool
	}{
		"whole":         {[]string{a, b, end}, true},
		"another order": {[]string{b, a, end}, false},
		"one row":       {[]string{a, `{"end":true,"count":1}`}, false},
		"cut":           {[]string{a, b}, false},
		"count":         {[]string{a, b, `{"end":true,"count":3}`}, false},
		"no end":        {[]string{a, b, `{"end":false,"count":2}`}, false},
		"three rows":    {[]string{a, b, a, `{"end":true,"count":3}`}, false},
		"no pair":       {[]string{a, `{"key":"b"`, end}, false},
		"number":        {[]string{`{"key":"a","value":1}`, b, end}, false},
		"a page":        {[]string{"<html>"}, false},
		"behind":        {[]string{a, b, end, "x"}, false},
	} {
		got, err := connectTo(t, script(t, reply(found(c.lines...))).addr).GetMany(t.Context(), []string{"a", "b"})
		switch {
		case c.fine && (err != nil || !maps.Equal(got, map[string]string{"a": "1"})):
			t.Errorf("%s: %v, %v", name, got, err)
		case !c.fine && (!errors.Is(err, client.ErrNotViakv) || got != nil):
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// A request that one endpoint refuses, or that dies there, goes to the next as it is.
func TestManyGetsGoToTheNextEndpoint(t *testing.T) {
	bodies := make(chan string, 8)
	read := func(r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- r.Method + " " + r.URL.String() + " " + string(body)
	}
	refuses := script(t, func(r *http.Request, c net.Conn) bool {
		read(r)
		return write(c, problemAnswer(503, "unavailable", "none", "X-Viakv-Retriable: true\r\n"))
	})
	dies := script(t, func(r *http.Request, _ net.Conn) bool { read(r); return false })
	answers := script(t, func(r *http.Request, c net.Conn) bool {
		read(r)
		return write(c, found(`{"key":"a","value":"1"}`, `{"end":true,"count":1}`))
	})
	c := connectTo(t, refuses.addr, dies.addr, nowhere(t), answers.addr)
	got, err := c.GetMany(t.Context(), []string{"a", "a"})
	if err != nil || got["a"] != "1" {
		t.Fatalf("%v, %v", got, err)
	}
	for range 3 {
		if body := <-bodies; body != "POST /getMany?format=ndjson \"a\"\n" {
			t.Errorf("%q", body)
		}
	}
	_, err = connectTo(t, refuses.addr).GetMany(t.Context(), []string{"a"})
	want(t, err, 503, kv.None, nil)
}

// A kept connection that the other side has closed is no error of many gets, as it is none of a
// get: they change nothing, and are sent again.
func TestManyGetsOnAKeptConnection(t *testing.T) {
	var connections sync.Map
	var asked atomic.Int64
	s := script(t, func(r *http.Request, c net.Conn) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		if _, again := connections.LoadOrStore(c, true); again {
			return false // the second request of a connection is read, and not answered
		}
		asked.Add(1)
		return write(c, found(`{"key":"a","value":"1"}`, `{"end":true,"count":1}`))
	})
	c := connectTo(t, s.addr)
	for range 5 {
		if got, err := c.GetMany(t.Context(), []string{"a"}); err != nil || got["a"] != "1" {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if asked.Load() != 5 || s.requests.Load() != 9 {
		t.Errorf("%d requests, of which %d were answered", s.requests.Load(), asked.Load())
	}
}

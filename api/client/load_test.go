package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"viakv/api"
	"viakv/api/client"
	"viakv/api/kv"
	"viakv/api/kv/kvtest"
)

// numbered yields n pairs: k1 with v1, and so on.
func numbered(n int) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := range n {
			if !yield(fmt.Sprint("k", i+1), fmt.Sprint("v", i+1)) {
				return
			}
		}
	}
}

// listed yields these pairs, each a key and its value.
func listed(pairs ...string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := 0; i < len(pairs) && yield(pairs[i], pairs[i+1]); i += 2 {
		}
	}
}

// takes reads the lines of a load.
func takes(r *http.Request) (lines []string) {
	for s := bufio.NewScanner(r.Body); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

func stored(n int) string {
	body := fmt.Sprintf(`{"stored":%d}`, n)
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// loadAnswer is a problem about a load of which so many pairs are stored, with further members.
func loadAnswer(status int, slug, outcome, header string, stored int, members string) string {
	body := fmt.Sprintf(`{"type":"urn:viakv:problem:%s","title":"T","status":%d,"detail":"D; %d values are stored","outcome":"%s","stored":%d,%s}`,
		slug, status, stored, outcome, stored, members)
	return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n%s\r\n%s", status, len(body), header, body)
}

// wantLoad fails unless err is a *LoadError with these facts.
func wantLoad(t testing.TB, n int64, err error, want client.LoadError) *client.LoadError {
	t.Helper()
	e, ok := errors.AsType[*client.LoadError](err)
	if !ok {
		t.Fatalf("got %v, want a *LoadError", err)
	}
	got := *e
	got.Err = nil
	if n != want.Stored || !reflect.DeepEqual(got, want) {
		t.Fatalf("%d stored, %+v (%v), want %+v", n, got, err, want)
	}
	return e
}

func TestManyPairsAreStored(t *testing.T) {
	c := connectTo(t, serve(t, api.Config{})).With(client.Options{R: 1, W: kv.QuorumAll})
	want := map[string]string{
		"empty": "", " &=+%#?/\x00\x1f\x7f\n\"\\": "\x01</script>\\u0041", "odd\u2028\"é😀": "\ufeff\t",
		strings.Repeat("\x00", kv.MaxKeyCharacters): strings.Repeat("\x1b", kv.MaxValueCharacters),
		strings.Repeat("🜁", kv.MaxKeyCharacters):    strings.Repeat("🜂", kv.MaxValueCharacters),
	}
	for k, v := range numbered(20_000) {
		want[k] = v
	}
	for i := range 1000 { // few of them fit a request
		want[fmt.Sprint("long", i)] = strings.Repeat("\"🜂", kv.MaxValueCharacters/2)
	}
	if n, err := c.SetMany(t.Context(), maps.All(want)); err != nil || n != int64(len(want)) {
		t.Fatalf("%d stored, %v", n, err)
	}
	got := map[string]string{}
	for pair, err := range c.All(t.Context(), client.ScanOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		got[pair.Key] = pair.Value
	}
	if !maps.Equal(got, want) {
		t.Error("what is stored differs from what was sent")
	}
	if n, err := c.SetMany(t.Context(), listed()); n != 0 || err != nil {
		t.Errorf("no pairs: %d, %v", n, err)
	}
}

func TestOfPairsWithOneKeyTheLastStands(t *testing.T) {
	c := connectTo(t, serve(t, api.Config{}))
	pairs := []string{"other", "1"}
	for i := range 50 {
		pairs = append(pairs, "k", fmt.Sprint(i), fmt.Sprint("more", i), "2")
	}
	if n, err := c.SetMany(t.Context(), listed(pairs...)); err != nil || n != 101 {
		t.Fatal(n, err)
	}
	if v, err := c.Get(t.Context(), "k"); err != nil || v != "49" {
		t.Error(v, err)
	}
}

// TestRequestsOfALoad is invariant F6.
func TestRequestsOfALoad(t *testing.T) {
	var sizes []int
	var first http.Request
	s := script(t, func(r *http.Request, c net.Conn) bool {
		lines := takes(r)
		if len(sizes) == 0 {
			first = *r
		}
		sizes = append(sizes, len(lines))
		return write(c, stored(len(lines)))
	})
	c := connectTo(t, s.addr).With(client.Options{W: 2})
	long := strings.Repeat("v", kv.MaxValueCharacters)
	pairs := func(yield func(string, string) bool) {
		for range 2 {
			for k, v := range numbered(5000) {
				if !yield(k, v) {
					return
				}
			}
		}
		_ = yield("a", "1") && yield("a", "2") && yield("b", "3") && yield("a", "4")
		for i := range 1000 {
			if !yield(fmt.Sprintf("%08d", i), long) {
				return
			}
		}
	}
	if n, err := c.SetMany(t.Context(), pairs); err != nil || n != 11_004 {
		t.Fatal(n, err)
	}
	// At most 4096 pairs, 256 KiB, and no key twice.
	if want := []int{4096, 4096, 2*5000 - 2*4096 + 1, 2, 1 + 992, 1000 - 992}; !slices.Equal(sizes, want) {
		t.Errorf("requests of %v pairs, want %v", sizes, want)
	}
	if first.Method != "POST" || first.URL.RequestURI() != "/setAll?w=2" || first.ContentLength <= 0 ||
		first.Header.Get("Content-Type") != "application/x-ndjson" || first.Header.Get("Accept") != "application/json" {
		t.Errorf("%s %s, %d bytes, %v", first.Method, first.URL, first.ContentLength, first.Header)
	}
}

// TestWhatOfALoadGoesToASecondEndpoint is invariant F1.
func TestWhatOfALoadGoesToASecondEndpoint(t *testing.T) {
	unknown := func(kind, detail string) *client.LoadError {
		return &client.LoadError{Failed: []client.Failure{{First: 1, Last: 3, Kind: kind, Detail: detail}}}
	}
	inMidBody := func(r *http.Request, _ net.Conn) bool {
		_, _ = io.ReadFull(r.Body, make([]byte, 10))
		return false
	}
	for name, c := range map[string]struct {
		first   func(*http.Request, net.Conn) bool // nil: nothing listens
		want    *client.LoadError                  // nil: it goes to the second endpoint
		status  int
		outcome kv.Outcome
	}{
		"no connection":     {nil, nil, 0, kv.None},
		"retriable 503":     {reply(retriable), nil, 0, kv.None},
		"nothing is stored": {reply(loadAnswer(503, "unavailable", "none", "X-Viakv-Retriable: true\r\n", 0, `"failed":[{"first":1,"last":3,"outcome":"none"}]`)), nil, 0, kv.None},
		"dies in mid-body":  {inMidBody, unknown("", ""), 0, kv.Unknown},
		"500":               {reply(problemAnswer(500, "internal", "unknown", "")), unknown("internal", "D"), 500, kv.Unknown},
		"forbidden":         {reply(problemAnswer(403, "forbidden", "none", "")), &client.LoadError{Next: 1}, 403, kv.None},
		"stored in part": {reply(loadAnswer(503, "unavailable", "unknown", "", 1, `"next":3,"failed":[{"first":2,"last":2,"type":"urn:viakv:problem:unavailable","detail":"E","outcome":"none"}]`)),
			&client.LoadError{Stored: 1, Failed: []client.Failure{{First: 2, Last: 2, Kind: "unavailable", Detail: "E", Outcome: kv.None}}, Next: 3}, 503, kv.Unknown},
		"an account that does not add up": {reply(loadAnswer(503, "unavailable", "unknown", "", 1, `"failed":[{"first":1,"last":3,"outcome":"none"}]`)),
			unknown("unavailable", "D"), 503, kv.Unknown},
		"an error with all stored": {reply(loadAnswer(503, "unavailable", "unknown", "", 3, `"failed":[]`)), unknown("unavailable", "D"), 503, kv.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			second := script(t, func(r *http.Request, c net.Conn) bool { return write(c, stored(len(takes(r)))) })
			first := nowhere(t)
			if c.first != nil {
				first = script(t, c.first).addr
			}
			n, err := connectTo(t, first, second.addr).SetMany(t.Context(), numbered(3))
			if got := second.requests.Load(); (got > 0) != (c.want == nil) || got > 1 {
				t.Fatalf("%d requests to the second endpoint, %v", got, err)
			}
			if c.want == nil {
				if n != 3 || err != nil {
					t.Fatal(n, err)
				}
				return
			}
			want(t, err, c.status, c.outcome, nil)
			if e, _ := errors.AsType[*client.LoadError](err); name == "dies in mid-body" && len(e.Failed) == 1 {
				e.Failed[0].Detail = ""
			}
			wantLoad(t, n, err, *c.want)
		})
	}
}

func TestAPairThatNoNodeWouldStoreIsNotSent(t *testing.T) {
	c := connectTo(t, serve(t, api.Config{}))
	for name, bad := range map[string][2]string{
		"empty": {"", "v"}, "64 characters": {strings.Repeat("🜁", 65), ""}, "256 characters": {"k", strings.Repeat("v", 257)},
		"not UTF-8": {"\xff", ""}, "encode": {"k", "\xed\xa0\x80"},
	} {
		if err := c.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		n, err := c.SetMany(t.Context(), listed("a", "1", "b", "2", bad[0], bad[1], "c", "3"))
		wantLoad(t, n, err, client.LoadError{Stored: 2, Next: 3})
		if bad, ok := errors.AsType[*kv.ArgumentError](err); !ok || !strings.HasPrefix(err.Error(), "pair 3: ") || !strings.Contains(bad.Detail, strings.Fields(name)[0]) {
			t.Errorf("%s: %v", name, err)
		}
		if keys := slices.Sorted(maps.Keys(allOf(t, c))); !slices.Equal(keys, []string{"a", "b"}) {
			t.Errorf("%s: %q are stored", name, keys)
		}
	}
}

func allOf(t testing.TB, c *client.Client) map[string]string {
	t.Helper()
	all := map[string]string{}
	for pair, err := range c.All(t.Context(), client.ScanOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		all[pair.Key] = pair.Value
	}
	return all
}

func TestFailuresHaveTheNumbersOfTheirPairs(t *testing.T) {
	const unknown = `{"first":10,"last":12,"type":"urn:viakv:problem:unavailable","detail":"E","outcome":"unknown"}`
	const full = `{"first":%d,"last":%d,"type":"urn:viakv:problem:memory-limit","detail":"F","outcome":"none"}`
	requests := 0
	s := script(t, func(r *http.Request, c net.Conn) bool {
		n := len(takes(r))
		switch requests++; requests {
		case 2: // it goes on past these
			return write(c, loadAnswer(503, "unavailable", "unknown", "", n-3, `"failed":[`+unknown+`]`))
		case 4:
			return write(c, loadAnswer(507, "memory-limit", "none", "", 0, `"failed":[`+fmt.Sprintf(full, 1, n)+`]`))
		}
		return write(c, stored(n))
	})
	c := connectTo(t, s.addr)
	const size = 4096
	first := client.Failure{First: size + 10, Last: size + 12, Kind: "unavailable", Detail: "E", Outcome: kv.Unknown}
	n, err := c.SetMany(t.Context(), numbered(5*size))
	e := wantLoad(t, n, err, client.LoadError{Stored: 3*size - 3, Next: 4*size + 1, Failed: []client.Failure{
		first, {First: 3*size + 1, Last: 4 * size, Kind: "memory-limit", Detail: "F", Outcome: kv.None},
	}})
	want(t, err, 507, kv.None, client.ErrMemoryLimit)
	const says = ": 507 T: D; stored: 12285; not stored, or not known to be: 4106 to 4108, 12289 to 16384; not tried: from 16385 on"
	if requests != 4 || e.Error() != s.addr+says {
		t.Errorf("%d requests, %v", requests, e)
	}
	requests = 0 // now the second request is the last one that fails
	n, err = c.SetMany(t.Context(), numbered(2*size+1))
	wantLoad(t, n, err, client.LoadError{Stored: 2*size - 2, Failed: []client.Failure{first}})
	want(t, err, 503, kv.Unknown, client.ErrUnavailable)
}

func TestALoadOfARealNodeThatIsFull(t *testing.T) {
	c := connectTo(t, serve(t, api.Config{Store: &kvtest.Reference{MaxBytes: 16}}))
	n, err := c.SetMany(t.Context(), numbered(6))
	e := wantLoad(t, n, err, client.LoadError{Stored: 4, Failed: failuresOf(t, err, 5, 6)})
	if !errors.Is(err, client.ErrMemoryLimit) || strings.Contains(e.Error(), "lines") {
		t.Errorf("%v", err)
	}
	n, err = c.With(client.Options{W: 3}).SetMany(t.Context(), numbered(6))
	wantLoad(t, n, err, client.LoadError{Failed: failuresOf(t, err, 1, 6)})
	if e := want(t, err, 400, kv.None, nil); e.Parameter != "w" {
		t.Errorf("%+v", e)
	}
}

// failuresOf returns the error's failures if they are one run of these pairs, of which none is
// stored.
func failuresOf(t testing.TB, err error, first, last int64) []client.Failure {
	t.Helper()
	e, ok := errors.AsType[*client.LoadError](err)
	if !ok || len(e.Failed) != 1 || e.Failed[0].First != first || e.Failed[0].Last != last || e.Failed[0].Outcome != kv.None || e.Failed[0].Kind == "" {
		t.Fatalf("%v: want one run of failures, %d to %d", err, first, last)
	}
	return e.Failed
}

func TestALoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := script(t, func(r *http.Request, c net.Conn) bool { return write(c, stored(len(takes(r)))) })
	pairs := func(yield func(string, string) bool) {
		for k, v := range numbered(4096 + 9) {
			if k == "k4100" {
				cancel()
			}
			if !yield(k, v) {
				return
			}
		}
	}
	n, err := connectTo(t, s.addr).SetMany(ctx, pairs)
	wantLoad(t, n, err, client.LoadError{Stored: 4096, Next: 4097})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// A node that reads nothing, and one that does not answer: what was sent has no known outcome.
	long := strings.Repeat("\x00", kv.MaxValueCharacters)
	for _, read := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		s := script(t, func(r *http.Request, c net.Conn) bool {
			if read {
				takes(r)
			}
			cancel()
			<-t.Context().Done() // nothing more is read
			return false
		})
		n, err := connectTo(t, s.addr).SetMany(ctx, func(yield func(string, string) bool) {
			for k := range numbered(2000) {
				if !yield(k, long) {
					return
				}
			}
		})
		want(t, err, 0, kv.Unknown, context.Canceled)
		e, _ := errors.AsType[*client.LoadError](err)
		if n != 0 || len(e.Failed) != 1 || e.Failed[0].First != 1 || e.Next != e.Failed[0].Last+1 {
			t.Errorf("%d stored, %+v", n, e)
		}
	}
}

// TestAnAnswerBeforeTheEndOfTheBody is invariant F7.
func TestAnAnswerBeforeTheEndOfTheBody(t *testing.T) {
	long := strings.Repeat("\x00", kv.MaxValueCharacters) // a MiB and a half
	pairs := func(yield func(string, string) bool) {
		for k := range numbered(1000) {
			if !yield(k, long) {
				return
			}
		}
	}
	for _, closes := range []bool{false, true} {
		s := script(t, func(_ *http.Request, c net.Conn) bool {
			write(c, problemAnswer(403, "forbidden", "none", ""))
			if !closes {
				<-t.Context().Done()
			}
			return false
		})
		for range 5 {
			n, err := connectTo(t, s.addr).SetMany(t.Context(), pairs)
			wantLoad(t, n, err, client.LoadError{Next: 1})
			want(t, err, 403, kv.None, nil)
		}
	}
	c := connect(t, client.Config{Endpoints: []string{serve(t, api.Config{TokenFile: tokens(t)})}})
	n, err := c.SetMany(t.Context(), pairs)
	wantLoad(t, n, err, client.LoadError{Next: 1})
	want(t, err, 401, kv.None, nil)
}

func TestAnAnswerThatIsNotOneToALoad(t *testing.T) {
	for _, answer := range []string{stored(2), stored(4), ok} {
		n, err := connectTo(t, script(t, reply(answer)).addr).SetMany(t.Context(), numbered(3))
		e, _ := errors.AsType[*client.LoadError](err)
		if !errors.Is(err, client.ErrNotViakv) || n != 0 || len(e.Failed) != 1 || e.Failed[0].Last != 3 || e.Failed[0].Outcome != kv.Unknown {
			t.Errorf("%s: %d, %v", answer, n, err)
		}
	}
}

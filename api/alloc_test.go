package api

import (
	"context"
	"net"
	"testing"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// fixed is a store without any work of its own: every key has the same value.
type fixed struct {
	kv.Store
	value []byte
}

var someTag = version.Tag{Generation: 1, Counter: 2, Incarnation: 3}

func (s *fixed) Get(_ context.Context, dst, _ []byte, _ kv.Options) ([]byte, version.Tag, error) {
	return append(dst, s.value...), someTag, nil
}
func (s *fixed) Has(context.Context, []byte, kv.Options) (version.Tag, error) { return someTag, nil }
func (s *fixed) Set(context.Context, []byte, []byte, kv.Options) (version.Tag, error) {
	return someTag, nil
}
func (s *fixed) SetMany(_ context.Context, writes []kv.Write, _ kv.Options) {
	for i := range writes {
		writes[i].Version, writes[i].Err = someTag, nil
	}
}
func (s *fixed) Remove(context.Context, []byte, kv.Options) error { return kv.ErrMissing }

// A request of the data endpoints allocates nothing in the code of this package (A5): with an id
// and a trace, escaped or not, found or missing.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools forget on purpose")
	}
	s, err := New(Config{Store: &fixed{value: make([]byte, 100)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, target string
		headers      []string
	}{
		{"get", "/get?k=some-key", nil},
		{"get of an escaped key", "/get?k=%C3%A9+%00", nil},
		{"get with headers", "/get?k=a", []string{"X-Request-Id", "mine", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			"Accept", "*/*", "User-Agent", "test", "Sec-Fetch-Site", "none", "Origin", "http://h"}},
		{"is", "/is?k=a", nil},
		{"set", "/set?k=some-key&v=some-value", nil},
		{"set of an escaped value", "/set?k=a&v=%F0%9F%98%80", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://h"}},
		{"rm of a missing key", "/rm?k=a", nil},
	} {
		// The request is built once; the handler then answers it again and again.
		ctx := new(fasthttp.RequestCtx)
		var request fasthttp.Request
		request.SetRequestURI("http://h" + c.target)
		request.Header.SetHost("h")
		request.Header.SetRequestURI(c.target)
		for i := 0; i < len(c.headers); i += 2 {
			request.Header.Set(c.headers[i], c.headers[i+1])
		}
		ctx.Init(&request, &net.TCPAddr{}, nil)
		handle := func() {
			ctx.Response.Reset()
			s.public.Handler(ctx)
		}
		handle()
		if status := ctx.Response.StatusCode(); status != 200 && c.name != "rm of a missing key" {
			t.Errorf("%s: %d %s", c.name, status, ctx.Response.Body())
		}
		if n := testing.AllocsPerRun(200, handle); n > 0 {
			t.Errorf("%s: %.1f allocations", c.name, n)
		}
	}
}

// Rendering a row allocates nothing once its buffer has grown.
func TestAllocationsOfRows(t *testing.T) {
	p := kv.Pair{Key: []byte("key \"é\""), Value: make([]byte, 200)}
	buffer := make([]byte, 0, 4096)
	r := rows{kind: kindPairs, ndjson: true}
	if n := testing.AllocsPerRun(100, func() { buffer = r.append(buffer[:0], &p) }); n > 0 {
		t.Errorf("%.1f allocations", n)
	}
}

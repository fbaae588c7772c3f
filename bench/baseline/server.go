package baseline

import (
	"bytes"
	"hash/maphash"
	"net"
	"sync"

	"github.com/valyala/fasthttp"
)

const shards = 256

// store is a map in shards.
type store struct {
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu     sync.RWMutex
	values map[string][]byte
}

func newStore() *store {
	s := &store{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].values = map[string][]byte{}
	}
	return s
}

func (s *store) shard(key []byte) *shard { return &s.shards[maphash.Bytes(s.seed, key)%shards] }

// Serve answers /get, /getMany, /set, /is, /rm, /clear, the scans and the probes until the listener
// is closed.
func Serve(l net.Listener) error {
	s := newStore()
	server := &fasthttp.Server{Handler: s.handle, Name: "baseline", ReadBufferSize: 16 << 10, NoDefaultContentType: true, SecureErrorLogMessage: true}
	return server.Serve(l)
}

func (s *store) handle(ctx *fasthttp.RequestCtx) {
	key := ctx.QueryArgs().Peek("k")
	in := s.shard(key)
	found := true
	switch string(ctx.Path()) {
	case "/get":
		in.mu.RLock()
		var value []byte
		value, found = in.values[string(key)]
		in.mu.RUnlock()
		if found {
			ctx.SetContentType("text/plain; charset=utf-8")
			ctx.Response.SetBodyRaw(value)
		}
	case "/is":
		in.mu.RLock()
		_, found = in.values[string(key)]
		in.mu.RUnlock()
	case "/set":
		// The value is never changed, because readers hold it without the lock.
		value := append([]byte(nil), ctx.QueryArgs().Peek("v")...)
		in.mu.Lock()
		in.values[string(key)] = value
		in.mu.Unlock()
	case "/rm":
		in.mu.Lock()
		_, found = in.values[string(key)]
		delete(in.values, string(key))
		in.mu.Unlock()
	case "/clear":
		for i := range s.shards {
			s.shards[i].mu.Lock()
			clear(s.shards[i].values)
			s.shards[i].mu.Unlock()
		}
	case "/getMany":
		s.many(ctx)
	case "/getAll":
		ctx.SetBodyStream(&rows{of: s, keys: true, values: true}, -1)
	case "/getKeys":
		ctx.SetBodyStream(&rows{of: s, keys: true}, -1)
	case "/getValues":
		ctx.SetBodyStream(&rows{of: s, values: true}, -1)
	case "/livez", "/readyz":
	default:
		found = false
	}
	if !found {
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	}
}

// many answers /getMany for keys of a body of lines, or of the query. They and their values have no
// character that JSON escapes.
func (s *store) many(ctx *fasthttp.RequestCtx) {
	out := append(make([]byte, 0, 16<<10), '{')
	add := func(key []byte) {
		in := s.shard(key)
		in.mu.RLock()
		value, found := in.values[string(key)]
		in.mu.RUnlock()
		if len(out) > 1 {
			out = append(out, ',', '\n')
		}
		out = append(append(append(out, '"'), key...), '"', ':')
		if found {
			out = append(append(append(out, '"'), value...), '"')
		} else {
			out = append(out, "null"...)
		}
	}
	for line := range bytes.Lines(ctx.PostBody()) {
		add(bytes.Trim(line, "\"\n"))
	}
	for _, key := range ctx.QueryArgs().PeekMulti("k") {
		add(key)
	}
	ctx.SetContentType("application/json")
	ctx.Response.SetBodyRaw(append(out, '}', '\n'))
}

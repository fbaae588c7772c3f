package api

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
	"viakv/api/pairs"
)

const (
	getManyPath = "/getMany"
	// maxKeys bounds the keys that a request may name, and maxKeysBytes its body. As many keys of
	// the longest fit, unless they are written with escapes.
	maxKeys      = 1000
	maxKeysBytes = 256 << 10
	// maxKeysAtOnce bounds the keys whose values are in memory at once, of all requests together.
	// A key, its value and its row take about 3 KiB at most.
	maxKeysAtOnce = 64 * maxKeys
	// rowFrame is how many bytes stand around a key and its value in a row, at most.
	rowFrame = len(`{"key":"","value":null}` + "\n")
)

var tooManyKeys = "more than " + strconv.Itoa(maxKeys) + " keys: name them in several requests"

// gets is one request for the values of many keys. All of it is in memory at once.
type gets struct {
	reader *pairs.Reader
	arena  []byte // the keys
	reads  []kv.Read
	values []byte
	named  map[uint64]int // places in reads by the hash of the key, or the next number that was free
}

var manyGets = sync.Pool{New: func() any { return &gets{reader: new(pairs.Reader), named: map[uint64]int{}} }}

// getMany answers /getMany with the value of each key, or null, in the order in which the keys were
// named first.
func getMany(x *exchange) error {
	options, err := x.options()
	if err != nil {
		return err
	}
	r := rows{kind: kindPairs}
	if r.ndjson, err = x.wantsLines(); err != nil {
		return err
	}
	g := manyGets.Get().(*gets)
	defer g.release()
	if err := g.readKeys(x); err != nil {
		return err
	}
	s, n := x.server, int64(len(g.reads))
	if err := s.enterKeys(n, options.Deadline); err != nil {
		return err
	}
	defer s.keys.Release(n)
	g.values = s.config.Store.GetMany(s.base, g.values[:0], g.reads, options)
	size := len(g.arena) + len(g.values) + rowFrame*(len(g.reads)+2)
	out := r.begin(make([]byte, 0, size))
	for i := range g.reads {
		switch get := &g.reads[i]; {
		case get.Err == nil:
			out = r.append(out, &kv.Pair{Key: get.Key, Value: get.Value})
		case errors.Is(get.Err, kv.ErrMissing):
			out = r.appendMissing(out, get.Key)
		default:
			s.metrics.figures.reads.refused.Add(uint64(n))
			return get.Err
		}
	}
	s.metrics.figures.reads.answered.Add(uint64(n))
	header := &x.ctx.Response.Header
	header.Set(fasthttp.HeaderVary, "Accept, Accept-Encoding")
	header.SetContentType(r.contentType())
	return respond(x.ctx, chooseCoding(x.ctx.Request.Header.PeekCanonical(headerAcceptEncoding)), r.end(out, ""))
}

// enterKeys waits until so many more keys may be read at once. Each call that returns nil must be
// followed by a release of them.
func (s *Server) enterKeys(n int64, deadline time.Time) error {
	if s.keys.TryAcquire(n) {
		return nil
	}
	ctx, cancel := context.WithDeadline(s.base, deadline)
	defer cancel()
	if s.keys.Acquire(ctx, n) != nil {
		s.metrics.overloads.Inc()
		s.metrics.figures.reads.refused.Add(uint64(n))
		return overload("the server looks up as many keys at once as it may (" + strconv.Itoa(maxKeysAtOnce) + ")")
	}
	return nil
}

// release gives the memory back, unless a large request has made it large.
func (g *gets) release() {
	clear(g.reads) // their values may have memory of their own
	clear(g.named)
	g.reader.Reset(bytes.NewReader(nil), pairs.Keys)
	g.reads, g.arena = g.reads[:0], g.arena[:0]
	if cap(g.values)+cap(g.arena) <= maxKeysBytes {
		manyGets.Put(g)
	}
}

// readKeys reads the keys: the parameters k of the query, or the body of a POST.
func (g *gets) readKeys(x *exchange) error {
	body := x.ctx.Request.Body()
	if !x.ctx.IsPost() || len(body) == 0 {
		return g.readQuery(x)
	}
	switch coding, err := contentCoding(&x.ctx.Request.Header); {
	case err != nil:
		return err
	case coding != identity:
		return refuse(kindMediaType, "send the keys as they are, without a Content-Encoding")
	case x.parameters.seen.has(parameterKey):
		return badParameter(parameterKey, "the body names keys, too: give all in the query, or all in the body")
	}
	for g.reader.Reset(bytes.NewReader(body), pairs.Keys); g.reader.Next(); {
		if !g.add(g.reader.Key()) {
			return refuse(kindBodyTooLarge, tooManyKeys)
		}
	}
	if err := g.reader.Err(); err != nil {
		return &refusal{kind: kindBadLine, detail: err.Error(), outcome: kv.None}
	}
	return nil
}

// readQuery reads the parameters k.
func (g *gets) readQuery(x *exchange) error {
	if !x.parameters.seen.has(parameterKey) && !x.ctx.IsPost() {
		return badParameter(parameterKey, "missing: give it once for each key, or send the keys with POST")
	}
	_, query, _ := bytes.Cut(x.ctx.Request.Header.RequestURI(), []byte("?"))
	for len(query) > 0 {
		p, raw, rest, ok := nextParameter(query)
		query = rest
		if !ok || p != parameterKey {
			continue
		}
		key, err := notEmpty(decodeValue(p, raw, x.keyBuffer[:], kv.MaxKeyCharacters))
		if err != nil {
			return err
		}
		if !g.add(key) {
			return badParameter(parameterKey, tooManyKeys)
		}
	}
	return nil
}

// add adds a key, unless it was named before. It reports false when there are as many as there may
// be.
func (g *gets) add(key []byte) bool {
	hash := maphash.Bytes(keySeed, key)
	for i, there := g.named[hash]; there; i, there = g.named[hash] {
		if bytes.Equal(g.reads[i].Key, key) {
			return true
		}
		hash++
	}
	if len(g.reads) == maxKeys {
		return false
	}
	g.named[hash] = len(g.reads)
	at := len(g.arena)
	g.arena = append(g.arena, key...)
	g.reads = append(g.reads, kv.Read{Key: g.arena[at:len(g.arena):len(g.arena)]})
	return true
}

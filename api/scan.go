package api

import (
	"bytes"
	"context"
	"strconv"
	"sync"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
)

const (
	headerCursor = "X-Viakv-Cursor"

	// maxPageBytes ends a page before its limit is reached. A page is built in memory, because its
	// cursor goes before it.
	maxPageBytes = 4 << 20
	// minCompressed is the size below which compression is not worth its header.
	minCompressed = 1 << 10
	// maxCopied is the size above which a body is given away and not copied.
	maxCopied = 4 << 10
	maxCursor = 512
)

func scanKeys(x *exchange) error   { return x.scan(kindKeys) }
func scanValues(x *exchange) error { return x.scan(kindValues) }
func scanAll(x *exchange) error    { return x.scan(kindPairs) }

// scan is one request's walk over the store. What fits the first buffer is an ordinary response
// with its length, and so is every page. Only a larger result becomes a stream.
type scan struct {
	scanner kv.Scanner
	ctx     context.Context // ends with the server's context, or when the scan does
	cancel  context.CancelFunc
	server  *Server
	batch   kv.Batch
	next    int // index of the batch's next pair
	limit   int // in pairs; 0: all
	rows    rows
	coding  coding
	buffer  []byte // chunkHead bytes, then what was rendered and not yet sent
	scratch *[]byte
}

func (x *exchange) scan(kind scanKind) error {
	s := x.server
	options, limit, ndjson, err := x.scanOptions()
	if err != nil {
		return err
	}
	options.Values = kind != kindKeys
	// The request takes a place among the running scans, or is refused at once.
	select {
	case s.scans <- struct{}{}:
	default:
		s.metrics.overloads.Inc()
		return overload("the server runs as many scans as it may (" + strconv.Itoa(s.config.MaxScans) + ")")
	}
	c := &scan{server: s, limit: limit, rows: rows{kind: kind, ndjson: ndjson},
		coding: chooseCoding(x.ctx.Request.Header.PeekCanonical(headerAcceptEncoding))}
	streaming := false
	defer func() {
		if !streaming {
			c.close()
		}
	}()
	c.ctx, c.cancel = context.WithCancel(s.base)
	if c.scanner, err = s.config.Store.Scan(c.ctx, options); err != nil {
		return err
	}
	// The first buffer is filled before the answer begins. An error up to here is an ordinary
	// problem.
	c.scratch = scanBuffers.Get().(*[]byte)
	c.buffer = c.rows.begin((*c.scratch)[:chunkHead])
	room := streamBuffer
	if limit > 0 {
		room = maxPageBytes
	}
	complete, cursor, err := c.fill(room)
	if err != nil {
		return err
	}
	header := &x.ctx.Response.Header
	header.Set(fasthttp.HeaderVary, "Accept, Accept-Encoding")
	header.SetContentType(c.rows.contentType())
	if cursor != "" {
		header.Set(headerCursor, cursor)
	}
	if complete {
		s.metrics.pairs.Add(float64(c.rows.count))
		return c.respond(x.ctx, cursor)
	}
	// What does not fit is streamed; the stream closes the scan.
	streaming = true
	x.stream(c)
	return nil
}

// scanOptions reads a scan's parameters.
func (x *exchange) scanOptions() (o kv.ScanOptions, limit int, ndjson bool, err error) {
	// There is no deadline: each batch has scanTimeout, the scan as a whole all the time it takes.
	o.Trace = x.trace
	if o.R, err = x.quorum(parameterR); err != nil {
		return o, 0, false, err
	}
	if limit, err = x.limit(); err != nil {
		return o, 0, false, err
	}
	if o.Snapshot, err = x.flag(parameterSnapshot); err != nil {
		return o, 0, false, err
	}
	if o.Snapshot && x.parameters.seen&setOf(parameterLimit, parameterCursor) != 0 {
		return o, 0, false, badParameter(parameterSnapshot, "a page is never the whole store: leave limit and cursor out")
	}
	if x.parameters.seen.has(parameterCursor) {
		var room [maxCursor]byte
		cursor, err := x.text(parameterCursor, room[:], maxCursor)
		if err != nil {
			return o, 0, false, err
		}
		o.Cursor = string(cursor)
	}
	if x.parameters.seen.has(parameterPrefix) {
		prefix, err := x.text(parameterPrefix, x.keyBuffer[:], kv.MaxKeyCharacters)
		if err != nil {
			return o, 0, false, err
		}
		o.Prefix = string(prefix)
	}
	ndjson, err = x.wantsLines()
	return o, limit, ndjson, err
}

// wantsLines reports whether the answer is to be NDJSON, and not JSON.
func (x *exchange) wantsLines() (bool, error) {
	format, err := x.short(parameterFormat)
	switch {
	case err != nil:
		return false, err
	case !x.parameters.seen.has(parameterFormat):
		accept := x.ctx.Request.Header.PeekCanonical(headerAccept)
		return len(accept) > 0 && prefer(accept, jsonType, ndjsonType) == 1, nil
	case format == "ndjson" || format == "json":
		return format == "ndjson", nil
	}
	return false, badParameter(parameterFormat, "give json or ndjson")
}

// fill renders rows until the scan ends, its limit is reached, or the buffer holds room bytes.
// complete means that nothing is left to do for this request; cursor then says where the next page
// begins. A page is complete when it is full.
func (c *scan) fill(room int) (complete bool, cursor string, err error) {
	for {
		for {
			full := len(c.buffer) >= room
			if c.limit > 0 && (full || c.rows.count == c.limit) {
				return true, c.scanner.Cursor(c.next), nil
			}
			if full {
				return false, "", nil
			}
			if c.next == len(c.batch.Pairs) {
				break
			}
			c.buffer = c.rows.append(c.buffer, &c.batch.Pairs[c.next])
			c.next++
		}
		c.next = 0
		c.batch.Reset()
		ctx, cancel := context.WithTimeout(c.ctx, scanTimeout)
		more, err := c.scanner.Next(ctx, &c.batch)
		cancel()
		if err != nil {
			return false, "", err
		}
		if !more {
			return true, "", nil
		}
	}
}

// respond answers with what is in the buffer.
func (c *scan) respond(ctx *fasthttp.RequestCtx, cursor string) error {
	c.buffer = c.rows.end(c.buffer, cursor)
	body := c.buffer[chunkHead:]
	if len(body) > maxCopied && (c.coding == identity || len(body) < minCompressed) {
		c.buffer, c.scratch = nil, nil // respond gives it away
	}
	return respond(ctx, c.coding, body)
}

// respond answers with a body that belongs to the response from now on, compressed if that is worth
// it.
func respond(ctx *fasthttp.RequestCtx, c coding, body []byte) error {
	if c == identity || len(body) < minCompressed {
		if len(body) <= maxCopied {
			ctx.SetBody(body)
			return nil
		}
		// fasthttp copies a body into a buffer, and keeps that for as long as the connection lives.
		// Thousands of idle connections would each hold a page. So the body is given away here, and
		// collected later.
		ctx.Response.SetBodyRaw(body)
		return nil
	}
	var compressed bytes.Buffer
	e, err := acquireEncoder(c, &compressed)
	if err != nil {
		return err
	}
	defer releaseEncoder(c, e)
	if _, err := e.Write(body); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	ctx.Response.Header.SetContentEncoding(c.String())
	ctx.Response.SetBodyRaw(compressed.Bytes())
	return nil
}

// close gives back everything that a scan holds.
func (c *scan) close() {
	if c.scanner != nil {
		c.scanner.Close()
	}
	if c.cancel != nil {
		c.cancel()
	}
	if c.scratch != nil && cap(c.buffer) <= 2*streamBuffer {
		*c.scratch = c.buffer[:cap(c.buffer)]
		scanBuffers.Put(c.scratch)
	}
	<-c.server.scans
}

// scanBuffers holds buffers for a stream's chunk and one row more. A page's buffer may grow beyond
// that, and is then left to the garbage collector.
var scanBuffers = sync.Pool{New: func() any {
	b := make([]byte, chunkHead+streamBuffer+maxRow+chunkTail)
	return &b
}}

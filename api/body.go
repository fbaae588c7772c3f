package api

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"
)

// fasthttp hands over every body as a stream. All but those of a load are read as a whole here,
// before their request is looked at further.

// bodyLimit returns how large a request's body may be, in bytes. It is negative where the endpoint
// reads the body as a stream.
func (s *Server) bodyLimit(h *fasthttp.RequestHeader) int {
	_, _, path := splitTarget(h.RequestURI())
	path, _, _ = bytes.Cut(path, []byte("?"))
	switch {
	case string(path) == loadPath:
		return -1
	case string(path) == getManyPath:
		return maxKeysBytes
	case s.config.Discovery != nil && string(path) == discoveryPath:
		return maxDiscoveryBytes
	}
	return maxBodyBytes
}

// headerReceived is fasthttp's hook between a request's head and its body. It keeps fasthttp from
// waiting for the beginning of a body: of one that is too large, which is refused, and of a load,
// whose client may pause. fasthttp has no way not to wait; it waits for a byte at least, or takes
// the length for zero. A GET's length it does not let change.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	switch limit := s.bodyLimit(h); {
	case limit < 0, h.ContentLength() <= limit:
		c.MaxRequestBodySize = max(1, limit)
	default:
		c.MaxRequestBodySize = 1
		h.SetContentLength(0)
	}
	return c
}

// tooLarge reports whether a request has said that its body is larger than it may be.
func (s *Server) tooLarge(h *fasthttp.RequestHeader, length int) bool {
	limit := s.bodyLimit(h)
	return limit >= 0 && length > limit
}

// expect is fasthttp's hook for a client that waits for a word before it sends its body.
func (s *Server) expect(ctx *fasthttp.RequestCtx) (status int) {
	if _, length := framingFault(&ctx.Request.Header); s.tooLarge(&ctx.Request.Header, length) {
		s.malformed(ctx, fasthttp.ErrBodyTooLarge)
		return kindBodyTooLarge.status
	}
	return fasthttp.StatusContinue
}

// readBody reads a request's body as a whole. It does nothing where the endpoint streams it. length
// is what the request has said of it.
func (s *Server) readBody(ctx *fasthttp.RequestCtx, length int) error {
	if s.tooLarge(&ctx.Request.Header, length) {
		return fasthttp.ErrBodyTooLarge
	}
	stream, limit := ctx.RequestBodyStream(), s.bodyLimit(&ctx.Request.Header)
	if stream == nil || limit < 0 || ctx.Request.Header.ContentLength() == 0 {
		return nil
	}
	in := body{in: stream, conn: ctx.Conn()}
	whole, err := io.ReadAll(io.LimitReader(&in, int64(limit)+1))
	if err == nil && len(whole) > limit {
		err = fasthttp.ErrBodyTooLarge
	}
	if err == nil {
		ctx.Request.SetBodyRaw(whole)
	}
	return err
}

// body is a request's body as it arrives.
type body struct {
	in   io.Reader
	conn net.Conn
	// timeout is the time that a client may pause. Zero: the request as a whole has its time.
	timeout time.Duration
	err     error // of the last read, if it is not the body's end
}

func (x *exchange) openBody() *body {
	b := &body{in: x.ctx.RequestBodyStream(), conn: x.ctx.Conn(), timeout: x.server.config.ReadTimeout}
	if b.in == nil { // it is empty, or was read
		b.in = bytes.NewReader(x.ctx.Request.Body())
	}
	return b
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (n int, err error) {
	if b.timeout > 0 {
		err = b.conn.SetReadDeadline(time.Now().Add(b.timeout))
	}
	if err == nil {
		if c := connOf(b.conn); c != nil {
			c.inBody = true
			defer func() { c.inBody = false }()
		}
		n, err = b.in.Read(p)
	}
	if err != io.EOF {
		b.err = err
	}
	return n, err
}

// maxWindow bounds what a zstd stream may make its reader remember, in bytes. It is what RFC 8878
// (section 3.1.1.1.2) recommends to support.
const maxWindow = 8 << 20

// decoders keeps decoders for reuse.
var decoders [codings]sync.Pool

// decode returns a reader of the body's content. done must be called at the end.
func (b *body) decode(c coding) (content io.Reader, done func(), err error) {
	switch c {
	case gzipCoding:
		d, _ := decoders[c].Get().(*gzip.Reader)
		if d == nil {
			d = new(gzip.Reader)
		}
		switch err := d.Reset(b); {
		case err == io.EOF && b.err == nil: // nothing, as for the other codings
			return b, func() {}, nil
		case err != nil:
			return nil, nil, err
		}
		return d, func() {
			_ = d.Reset(bytes.NewReader(nil)) // lets go of the body; that it is empty is an error
			decoders[c].Put(d)
		}, nil
	case zstdCoding:
		d, _ := decoders[c].Get().(*zstd.Decoder)
		if d == nil {
			if d, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true)); err != nil {
				return nil, nil, fmt.Errorf("api: zstd: %w", err)
			}
		}
		if err := d.Reset(b); err != nil {
			return nil, nil, err
		}
		return d, func() {
			if d.Reset(nil) == nil {
				decoders[c].Put(d)
			}
		}, nil
	case identity, codings:
	}
	return b, func() {}, nil
}

// decoded is a body's content. It ends with errStopping when the server is about to end: little of
// a body can become very much.
type decoded struct {
	io.Reader
	stopped func() bool
}

// Read implements io.Reader.
func (d *decoded) Read(p []byte) (int, error) {
	if d.stopped() {
		return 0, errStopping
	}
	return d.Reader.Read(p)
}

// contentCoding returns the coding of a request's body.
func contentCoding(h *fasthttp.RequestHeader) (coding, error) {
	name := bytes.TrimSpace(h.ContentEncoding())
	if bytes.EqualFold(name, []byte("x-gzip")) { // RFC 9110, section 8.4.1.3
		return gzipCoding, nil
	}
	for c := identity; c < codings; c++ {
		if bytes.EqualFold(name, []byte(c.String())) || c == identity && len(name) == 0 {
			return c, nil
		}
	}
	return identity, refuse(kindMediaType, fmt.Sprintf("the Content-Encoding is %q: send the body with gzip, with zstd, or as it is", name))
}

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
	case s.config.Discovery != nil && string(path) == discoveryPath:
		return maxDiscoveryBytes
	}
	return maxBodyBytes
}

// headerReceived is fasthttp's hook between a request's head and its body. Of a body that is too
// large, fasthttp need not wait for the beginning.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	if limit := s.bodyLimit(h); limit > 0 && h.ContentLength() > limit {
		c.MaxRequestBodySize = 1
	}
	return c
}

// expect is fasthttp's hook for a client that waits for a word before it sends its body.
func (s *Server) expect(ctx *fasthttp.RequestCtx) (status int) {
	if limit := s.bodyLimit(&ctx.Request.Header); limit > 0 && ctx.Request.Header.ContentLength() > limit {
		s.malformed(ctx, fasthttp.ErrBodyTooLarge)
		return kindBodyTooLarge.status
	}
	return fasthttp.StatusContinue
}

// readBody reads a request's body as a whole. It does nothing where the endpoint streams it.
func (s *Server) readBody(ctx *fasthttp.RequestCtx) error {
	stream, length := ctx.RequestBodyStream(), ctx.Request.Header.ContentLength()
	limit := s.bodyLimit(&ctx.Request.Header)
	switch {
	case stream == nil, length == 0, limit < 0:
		return nil
	case length > limit:
		return fasthttp.ErrBodyTooLarge
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

// decode returns a reader of the body's content. close must be called at the end.
func (b *body) decode(c coding) (content io.Reader, done func(), err error) {
	switch c {
	case gzipCoding:
		d, _ := decoders[c].Get().(*gzip.Reader)
		if d == nil {
			d = new(gzip.Reader)
		}
		if err := d.Reset(b); err != nil {
			return nil, nil, err
		}
		return d, func() { decoders[c].Put(d) }, nil
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

// contentCoding returns the coding of a request's body.
func contentCoding(h *fasthttp.RequestHeader) (coding, error) {
	name := bytes.TrimSpace(h.ContentEncoding())
	for c := identity; c < codings; c++ {
		if bytes.EqualFold(name, []byte(c.String())) || c == identity && len(name) == 0 {
			return c, nil
		}
	}
	return identity, refuse(kindMediaType, fmt.Sprintf("the Content-Encoding is %q: send the body with gzip, with zstd, or as it is", name))
}

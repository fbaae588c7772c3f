package api

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
)

// checkHead passes on only requests whose head is unambiguous. fasthttp tolerates some of what RFC
// 9112 calls errors. A proxy in front that tolerates it in another way would see other requests in
// the same bytes, or another host in the same request (request smuggling). The refusal closes the
// connection, since the start of the next request is not certain.
func (s *Server) checkHead(handler fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		fault, length := framingFault(&ctx.Request.Header)
		if ctx.Request.Header.ContentLength() == chunked {
			// fasthttp tolerates more behind the last chunk than RFC 9112 allows, and does not show
			// it. Another reader of the same bytes might see a further request there.
			defer ctx.SetConnectionClose()
		}
		if fault == "" {
			fault = targetFault(&ctx.Request.Header)
		}
		if fault != "" {
			s.refuseHead(ctx, problem{kind: kindMalformed, detail: fault, outcome: kv.None})
		} else if err := s.readBody(ctx, length); err != nil {
			s.malformed(ctx, err)
		} else {
			handler(ctx)
		}
	}
}

// refuseHead answers a request that is ambiguous or that could not be read. It closes the
// connection afterwards, with a delay: what the client still sends would otherwise reset the
// connection before the client has read the answer.
func (s *Server) refuseHead(ctx *fasthttp.RequestCtx, p problem) {
	ctx.Response.Reset()
	ctx.Response.Header.SetCanonical(headerCacheControl, noStore)
	p.write(ctx)
	ctx.SetConnectionClose()
	if c := connOf(ctx.Conn()); c != nil {
		c.linger.Store(lingerBytes)
	}
	s.metrics.malformed.Inc()
}

var (
	nameContentLength    = []byte("Content-Length")
	nameTransferEncoding = []byte("Transfer-Encoding")
	codingChunked        = []byte("chunked")
)

// chunked is the content length that fasthttp gives to a body in chunks.
const chunked = -1

// framingFault returns what is ambiguous about the length of a request, and an empty string for
// nothing. It also returns the Content-Length, which is zero without one. fasthttp has already
// refused lengths that are repeated or no numbers, codings other than chunked and identity, and
// coded requests of HTTP/1.0. framingFault looks at the header as it arrived, because fasthttp
// drops one of two contradicting fields, and headerReceived may have changed the length.
func framingFault(h *fasthttp.RequestHeader) (fault string, length int) {
	if v := string(h.Protocol()); v != "HTTP/1.1" && v != "HTTP/1.0" {
		return "the request is neither HTTP/1.1 nor HTTP/1.0", 0
	}
	coded := false
	lengths := 0
	for rest := h.RawHeaders(); len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		if end < 1 || rest[end-1] != '\r' {
			return "a line of the header does not end with CR LF", 0
		}
		line := rest[:end-1]
		rest = rest[end+1:]
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			return "a header field is folded over two lines", 0
		}
		colon := 0
		for colon < len(line) && line[colon] != ':' {
			if line[colon] == ' ' {
				return "the name of a header field has a space in it", 0
			}
			colon++
		}
		switch name := line[:colon]; {
		case len(name) == len(nameContentLength) && bytes.EqualFold(name, nameContentLength):
			_, value, _ := bytes.Cut(line, []byte{':'})
			lengths++
			if n, err := strconv.Atoi(string(bytes.TrimSpace(value))); err == nil {
				length = n
			}
		case len(name) == len(nameTransferEncoding) && bytes.EqualFold(name, nameTransferEncoding):
			coded = true
			if _, value, _ := bytes.Cut(line, []byte{':'}); !bytes.EqualFold(bytes.TrimSpace(value), codingChunked) {
				return "the Transfer-Encoding is not chunked", 0
			}
		}
	}
	if lengths > 0 && coded {
		return "Content-Length and Transfer-Encoding contradict each other; send one of them", 0
	}
	return "", length
}

// malformed answers a request that could not be read.
func (s *Server) malformed(ctx *fasthttp.RequestCtx, err error) {
	p := problem{kind: kindMalformed, detail: "the request is not valid HTTP/1.1", outcome: kv.None}
	if _, ok := errors.AsType[*fasthttp.ErrSmallBuffer](err); ok {
		p.kind, p.detail = kindHeadersTooLarge, "the URL is too long or the headers are too large"
	} else if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		p.kind, p.detail = kindBodyTooLarge, "the body may have "+strconv.Itoa(s.bodyLimit(&ctx.Request.Header))+" bytes"
	} else if timedOut(err) {
		p.kind, p.detail = kindSlow, "the request did not arrive in time"
	}
	s.refuseHead(ctx, p)
}

// timedOut reports whether an error is that of a read that took too long. That of fasthttp is no
// net.Error.
func timedOut(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout()
}

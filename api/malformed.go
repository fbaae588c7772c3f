package api

import (
	"errors"
	"net"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
)

// malformed answers a request that could not be read.
func (s *Server) malformed(ctx *fasthttp.RequestCtx, err error) {
	p := problem{kind: kindMalformed, detail: "the request is not valid HTTP/1.1", outcome: kv.None}
	var (
		tooLarge *fasthttp.ErrSmallBuffer
		timeout  net.Error
	)
	switch {
	case errors.As(err, &tooLarge):
		p.kind, p.detail = kindHeadersTooLarge, "the URL is too long or the headers are too large"
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		p.kind, p.detail = kindBodyTooLarge, "a form body needs no more than a key and a value take"
	case errors.As(err, &timeout) && timeout.Timeout():
		p.kind, p.detail = kindSlow, "the request did not arrive in time"
	}
	s.refuseHead(ctx, p)
}

package api

import (
	"runtime/debug"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"viakv/api/kv"
)

var (
	headerCacheControl = []byte(fasthttp.HeaderCacheControl)
	noStore            = []byte("no-store")
)

const headerRetriable = "X-Viakv-Retriable"

// handler returns an endpoint's fasthttp handler.
func (s *Server) handler(e *endpoint) fasthttp.RequestHandler {
	m := s.metrics.endpoint(e.path)
	return func(ctx *fasthttp.RequestCtx) {
		x := s.exchanges.Get().(*exchange)
		x.begin(s, ctx, e, m)
		defer x.end()
		ctx.Response.Header.SetCanonical(headerCacheControl, noStore)
		x.identify()
		if !e.free {
			if s.inFlight.Add(1) > int64(s.config.MaxInFlight) {
				s.inFlight.Add(-1)
				s.metrics.overloads.Inc()
				x.fail(overload("the server is working on as many requests as it may (" + strconv.Itoa(s.config.MaxInFlight) + ")"))
				return
			}
			defer s.inFlight.Add(-1)
		}
		if err := x.serve(); err != nil {
			x.fail(err)
		}
	}
}

// overload returns the error of a request beyond a bound. Nothing has happened; another node, or
// this one later, may accept the same request.
func overload(reason string) error {
	return &kv.Unavailable{Outcome: kv.None, Reason: reason + "; try again later or at another node", RetryAfter: time.Second}
}

// serve makes the checks that all endpoints share, and calls the endpoint's own function.
func (x *exchange) serve() error {
	ctx, e := x.ctx, x.endpoint
	if !e.allows(ctx) {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, e.allow())
		return refuse(kindMethod, e.path+" answers "+e.allow())
	}
	if e.admin || e.role != roleNone && !e.free {
		if err := x.checkHost(); err != nil {
			return err
		}
	}
	if e.mutates {
		if err := x.checkOrigin(); err != nil {
			x.server.metrics.deny(deniedOrigin)
			return err
		}
	}
	if err := x.authorize(e.role); err != nil {
		return err
	}
	if err := x.readParameters(); err != nil {
		return err
	}
	if err := e.serve(x); err != nil {
		return err
	}
	if e.mutates && e.role == roleAdmin {
		x.server.config.Logger.Info("an administrative request was carried out", append(x.fields(), zap.String("token", x.tokenName))...)
	}
	return nil
}

// end is deferred by every handler. It turns a panic into a 500, counts the request and gives the
// exchange back.
func (x *exchange) end() {
	s := x.server
	if cause := recover(); cause != nil {
		x.panicked(cause)
	}
	if !x.detached {
		if s.draining.Load() {
			x.closeAfterAnswer(lingerBytes)
		}
		size := len(x.ctx.Response.Body())
		if size == 0 && x.ctx.IsHead() {
			// fasthttp leaves the length out of a HEAD's answer where a GET's says zero.
			x.ctx.Response.Header.SetContentLength(0)
		}
		x.metrics.observe(x.ctx.Response.StatusCode(), time.Since(x.start), size)
		if entry := s.config.Logger.Check(zap.DebugLevel, "request"); entry != nil {
			entry.Write(append(x.fields(), zap.Int("status", x.ctx.Response.StatusCode()), zap.Duration("took", time.Since(x.start)))...)
		}
	}
	x.ctx, x.endpoint, x.metrics = nil, nil, nil
	s.exchanges.Put(x)
}

// closeAfterAnswer makes the answer say that its connection ends with it. The client may have sent
// more before it reads that. The connection lingers, so that this does not reset it before the
// answer has arrived. It reads on for so many bytes at most, or for more if that was said before.
func (x *exchange) closeAfterAnswer(readOn int64) {
	x.ctx.Response.Header.SetConnectionClose()
	if c := connOf(x.ctx.Conn()); c != nil {
		c.linger.Store(max(readOn, c.linger.Load()))
	}
}

// panicked answers a request that ran into a fault of this program. What the request has done is
// not known.
func (x *exchange) panicked(cause any) {
	x.server.metrics.panics.Inc()
	x.server.log.Error("panic in a handler", append(x.fields(), zap.Any("cause", cause), zap.ByteString("stack", debug.Stack()))...)
	x.ctx.Hijack(nil)
	x.ctx.Response.Reset()
	x.ctx.Response.Header.SetCanonical(headerCacheControl, noStore)
	x.echo()
	p := problem{kind: kindInternal, outcome: kv.None,
		detail: "an unexpected error; the server's log has it under the request id " + string(x.id)}
	if x.endpoint.mutates {
		p.outcome = kv.Unknown
	}
	p.write(x.ctx)
}

package raftkv

import (
	"net"

	"go.etcd.io/raft/v3"

	"github.com/valyala/fasthttp"
)

// Serve answers requests until the listener is closed.
func (n *Node) Serve(l net.Listener) error {
	server := &fasthttp.Server{Handler: n.handle, Name: "raftkv", ReadBufferSize: 16 << 10, NoDefaultContentType: true, SecureErrorLogMessage: true}
	return server.Serve(l)
}

// stored is the body of the answer to a set: a document without a version, because there is none.
var stored = []byte("{}\n")

// handle answers as viakv does: 404 for a key that is not there, 503 with a header for a request
// that had no effect, and 504 for one that may have had one.
func (n *Node) handle(ctx *fasthttp.RequestCtx) {
	key := ctx.QueryArgs().Peek("k")
	f, found := done, true
	switch path := string(ctx.Path()); path {
	case "/get":
		var value []byte
		if value, found, f = n.read(key); found {
			ctx.SetContentType("text/plain; charset=utf-8")
			ctx.Response.SetBodyRaw(value)
		}
	case "/is":
		_, found, f = n.read(key)
	case "/set":
		if _, f = n.write(opSet, key, ctx.QueryArgs().Peek("v")); f == done {
			ctx.Response.SetBodyRaw(stored)
		}
	case "/rm":
		found, f = n.write(opRemove, key, nil)
	case "/livez":
	case "/readyz":
		if n.lead.Load() == raft.None {
			f = refused
		}
	default:
		found = false
	}
	switch {
	case f == refused:
		ctx.Response.Header.Set("X-Viakv-Retriable", "true")
		answer(ctx, fasthttp.StatusServiceUnavailable, unavailable)
	case f == unknown:
		ctx.SetStatusCode(fasthttp.StatusGatewayTimeout)
	case !found:
		answer(ctx, fasthttp.StatusNotFound, missing)
	}
}

// The documents of what was not done, as viakv's clients read them.
var (
	missing     = []byte(`{"type":"urn:viakv:problem:missing","outcome":"none"}` + "\n")
	unavailable = []byte(`{"type":"urn:viakv:problem:unavailable","outcome":"none"}` + "\n")
)

func answer(ctx *fasthttp.RequestCtx, status int, document []byte) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/problem+json")
	ctx.Response.SetBodyRaw(document)
}

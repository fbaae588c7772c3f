package api

import (
	"bytes"
	"strings"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"viakv/api/kv"
)

// endpoint is one row of the API's table.
type endpoint struct {
	path    string
	mutates bool // changes something: no HEAD, and browsers' cross-site requests are refused
	posts   bool // answers POST, as all that mutates does, and reads the body itself
	loads   bool // answers POST alone, and reads the body itself
	any     bool // answers every method
	below   bool // serves everything below its path as well
	// free endpoints are not counted against the limit of requests in flight: probes must get
	// through an overload.
	free  bool
	admin bool // of the admin listeners, with the host checked
	role  tokenRole
	serve func(*exchange) error
}

// endpoints is the table of the public listeners.
var endpoints = []*endpoint{
	{path: "/get", role: roleRead, serve: get},
	{path: "/set", role: roleWrite, mutates: true, serve: set},
	{path: "/rm", role: roleWrite, mutates: true, serve: remove},
	{path: "/is", role: roleRead, serve: has},
	{path: "/clear", role: roleAdmin, mutates: true, serve: clearAll},
	{path: getManyPath, role: roleRead, posts: true, serve: getMany},
	{path: "/getKeys", role: roleRead, serve: scanKeys},
	{path: "/getValues", role: roleRead, serve: scanValues},
	{path: "/getAll", role: roleRead, serve: scanAll},
	{path: loadPath, role: roleWrite, mutates: true, loads: true, serve: setAll},
	{path: "/join", role: roleAdmin, mutates: true, serve: join},
	{path: "/leave", role: roleAdmin, mutates: true, serve: leave},
	{path: "/reads", role: roleAdmin, mutates: true, serve: setReads},
	{path: "/cluster", role: roleRead, serve: cluster},
	{path: "/history", role: roleRead, serve: showHistory},
	{path: "/plan", role: roleRead, serve: planChange},
	{path: "/livez", role: roleNone, free: true, serve: live},
	{path: "/readyz", role: roleNone, free: true, serve: ready},
	{path: "/metrics", role: roleRead, free: true, serve: showPublicMetrics},
	{path: "/version", role: roleNone, free: true, serve: showVersion},
	{path: "/openapi.yaml", role: roleNone, serve: showOpenAPI},
}

// unknown returns the endpoint that answers every path that is not in a table.
func unknown(table []*endpoint) *endpoint {
	var paths []string
	for _, e := range table {
		paths = append(paths, e.path)
	}
	return &endpoint{path: "unknown", any: true, serve: func(*exchange) error {
		return &refusal{kind: kindNoSuchEndpoint, outcome: kv.None, endpoints: paths,
			detail: "nothing is served at this path; /openapi.yaml describes what is"}
	}}
}

func (e *endpoint) allows(ctx *fasthttp.RequestCtx) bool {
	switch {
	case e.any:
		return true
	case e.loads:
		return ctx.IsPost()
	case ctx.IsGet():
		return true
	case ctx.IsPost():
		return e.mutates || e.posts
	}
	return ctx.IsHead() && !e.mutates
}

func (e *endpoint) allow() string {
	switch {
	case e.loads:
		return "POST"
	case e.mutates:
		return "GET, POST"
	case e.posts:
		return "GET, HEAD, POST"
	}
	return "GET, HEAD"
}

// routes returns the handler of a table. Each endpoint checks its methods itself. Nothing is
// redirected: "/set/" is no endpoint.
func (s *Server) routes(table []*endpoint) fasthttp.RequestHandler {
	r := router.New()
	r.RedirectTrailingSlash, r.RedirectFixedPath = false, false
	r.HandleMethodNotAllowed, r.HandleOPTIONS = false, false
	r.NotFound = s.handler(unknown(table))
	for _, e := range table {
		if e.below {
			r.NotFound = servePrefix(e.path, s.handler(e), r.NotFound)
		} else {
			r.ANY(e.path, s.handler(e))
		}
	}
	others := r.NotFound
	return s.checkHead(func(ctx *fasthttp.RequestCtx) {
		if target := ctx.Request.Header.RequestURI(); len(target) > 1 && target[0] == '/' && target[1] == '/' {
			// fasthttp may have taken the first part of such a path for a host.
			others(ctx)
			return
		}
		r.Handler(ctx)
	})
}

// servePrefix serves a path and those below it, and passes others on. The router cannot have "/a"
// and "/a/" as different paths.
func servePrefix(path string, handler, others fasthttp.RequestHandler) fasthttp.RequestHandler {
	folder := strings.TrimSuffix(path, "/") + "/"
	return func(ctx *fasthttp.RequestCtx) {
		if p := ctx.URI().PathOriginal(); string(p) == path || bytes.HasPrefix(p, []byte(folder)) {
			handler(ctx)
			return
		}
		others(ctx)
	}
}

package api

import (
	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"viakv/api/kv"
)

// endpoint is one row of the API's table.
type endpoint struct {
	path    string
	mutates bool // answers POST beside GET, and no HEAD; browsers' cross-site requests are refused
	free    bool // not counted against the limit of requests in flight: probes must get through an overload
	role    Role
	serve   func(*exchange) error
}

// endpoints is the table of the public listeners.
var endpoints = []*endpoint{
	{path: "/get", role: RoleRead, serve: get},
	{path: "/set", role: RoleWrite, mutates: true, serve: set},
	{path: "/rm", role: RoleWrite, mutates: true, serve: remove},
	{path: "/is", role: RoleRead, serve: has},
	{path: "/clear", role: RoleAdmin, mutates: true, serve: clearAll},
	{path: "/getKeys", role: RoleRead, serve: scanKeys},
	{path: "/getValues", role: RoleRead, serve: scanValues},
	{path: "/getAll", role: RoleRead, serve: scanAll},
	{path: "/join", role: RoleAdmin, mutates: true, serve: join},
	{path: "/leave", role: RoleAdmin, mutates: true, serve: leave},
	{path: "/cluster", role: RoleRead, serve: cluster},
	{path: "/livez", role: RoleNone, free: true, serve: live},
	{path: "/readyz", role: RoleNone, free: true, serve: ready},
	{path: "/metrics", role: RoleRead, free: true, serve: showMetrics},
	{path: "/version", role: RoleNone, free: true, serve: showVersion},
	{path: "/openapi.yaml", role: RoleNone, serve: showOpenAPI},
}

// unknownEndpoint answers every other path.
var unknownEndpoint = &endpoint{path: "unknown", serve: noSuchEndpoint}

func (e *endpoint) allows(ctx *fasthttp.RequestCtx) bool {
	if e == unknownEndpoint || ctx.IsGet() {
		return true
	}
	if e.mutates {
		return ctx.IsPost()
	}
	return ctx.IsHead()
}

func (e *endpoint) allow() string {
	if e.mutates {
		return "GET, POST"
	}
	return "GET, HEAD"
}

// routes makes the handler of a table. Methods are the endpoints' own business, and nothing is redirected: "/set/" is no endpoint.
func (s *Server) routes(table []*endpoint) fasthttp.RequestHandler {
	r := router.New()
	r.RedirectTrailingSlash, r.RedirectFixedPath = false, false
	r.HandleMethodNotAllowed, r.HandleOPTIONS = false, false
	r.NotFound = s.handler(unknownEndpoint)
	for _, e := range table {
		r.ANY(e.path, s.handler(e))
	}
	return r.Handler
}

func noSuchEndpoint(x *exchange) error {
	paths := make([]string, 0, len(endpoints))
	for _, e := range endpoints {
		paths = append(paths, e.path)
	}
	return &refusal{kind: kindNoSuchEndpoint, outcome: kv.None, endpoints: paths,
		detail: "nothing is served at this path; /openapi.yaml describes what is"}
}

package api

import (
	"runtime"

	"viakv/api/document"
	"viakv/api/openapi"
)

// showVersion answers /version.
func showVersion(x *exchange) error {
	return x.document(document.Version{Name: x.server.config.Name, Version: x.server.config.Version, Go: runtime.Version()})
}

// console returns the rows for the console and everything below it. The console's files are static
// and need no token. What its page asks of the API needs one, and so does what it asks of
// /console/api. A row goes behind the row whose path it lies below: the last match counts.
func (s *Server) console() []*endpoint {
	serve := func(x *exchange) error {
		s.config.Console(x.ctx)
		return nil
	}
	return []*endpoint{
		{path: "/console", below: true, role: roleNone, serve: serve},
		{path: "/console/api", below: true, role: roleRead, serve: serve},
	}
}

// showOpenAPI answers /openapi.yaml.
func showOpenAPI(x *exchange) error {
	x.ctx.SetContentType("application/yaml")
	x.ctx.SetBody(openapi.Document)
	return nil
}

const (
	discoveryPath = "/v3/discovery:endpoints" // the colon belongs to the name
	// maxDiscoveryBytes bounds a body at that path. A proxy describes itself in each request, in
	// about 80 KiB.
	maxDiscoveryBytes = 1 << 20
)

// discovery returns the row by which a proxy learns which nodes take traffic. It needs no token,
// because proxies have none to show here. It is not counted against the limit of requests in
// flight: a proxy that learns nothing in an overload would keep sending everything to the same
// nodes.
func (s *Server) discovery() *endpoint {
	return &endpoint{path: discoveryPath, role: roleNone, posts: true, free: true, serve: func(x *exchange) error {
		s.config.Discovery(x.ctx)
		return nil
	}}
}

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

// console returns the rows for the console and everything below it. Its pages are static and need no token; what they ask of the API does, and
// so does what they ask of the console itself. A later row goes before the one that it lies below.
func (s *Server) console() []*endpoint {
	serve := func(x *exchange) error {
		s.config.Console(x.ctx)
		return nil
	}
	return []*endpoint{
		{path: "/console", below: true, role: RoleNone, serve: serve},
		{path: "/console/api", below: true, role: RoleRead, serve: serve},
	}
}

// showOpenAPI answers /openapi.yaml.
func showOpenAPI(x *exchange) error {
	x.ctx.SetContentType("application/yaml")
	x.ctx.SetBody(openapi.Document)
	return nil
}

package api

import "github.com/valyala/fasthttp"

const (
	discoveryPath = "/v3/discovery:endpoints"
	// maxDiscoveryBytes of a body at that path: a proxy describes itself in each request, in about 80 KiB.
	maxDiscoveryBytes = 1 << 20
)

// discovery returns the row by which a proxy learns which nodes take traffic. It needs no token, because proxies have none to show here; it is not counted
// against the limit of requests in flight, because a proxy that learns nothing in an overload sends everything to the same nodes.
func (s *Server) discovery() *endpoint {
	return &endpoint{path: discoveryPath, role: RoleNone, posts: true, free: true, serve: func(x *exchange) error {
		s.config.Discovery(x.ctx)
		return nil
	}}
}

// limits gives the one endpoint with large bodies room for them. Zero: the server's own limit.
func (s *Server) limits(h *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	if _, _, path := splitTarget(h.RequestURI()); s.config.Discovery != nil && string(path) == discoveryPath {
		c.MaxRequestBodySize = maxDiscoveryBytes
	}
	return c
}

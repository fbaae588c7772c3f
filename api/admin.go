package api

import (
	"net"
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/valyala/fasthttp/fasthttpadaptor"
	"go.uber.org/zap"

	"viakv/api/listen"
)

// adminEndpoints is the table of the admin listeners. It has what operators' tools need without a
// client certificate and apart from the public limits. Profiles are served nowhere else.
var adminEndpoints = []*endpoint{
	{path: "/livez", serve: live, free: true},
	{path: "/readyz", serve: ready, free: true},
	{path: "/metrics", serve: showAdminMetrics, free: true},
	{path: "/version", serve: showVersion, free: true},
	{path: profiles, role: roleAdmin, admin: true, below: true, posts: true, free: true, serve: profile},
}

// profiles is the path below which profiles are served.
const profiles = "/debug/pprof/"

// profile answers below /debug/pprof/ as net/http/pprof does. A profile that takes a while ends
// when the server is shut down.
func profile(x *exchange) error {
	take := pprof.Index // also serves the profiles that have names
	switch strings.TrimPrefix(string(x.ctx.Path()), profiles) {
	case "cmdline":
		take = pprof.Cmdline
	case "profile":
		take = pprof.Profile
	case "symbol":
		take = pprof.Symbol
	case "trace":
		take = pprof.Trace
	}
	base := x.server.base
	fasthttpadaptor.NewFastHTTPHandlerFunc(func(w http.ResponseWriter, r *http.Request) { take(w, r.WithContext(base)) })(x.ctx)
	return nil
}

// ServeAdmin answers health, metrics and profiles on a listener of its own, without TLS, until
// Shutdown. The listener belongs on loopback or in a private network: only profiles ask for a
// token.
func (s *Server) ServeAdmin(l net.Listener) error {
	exposed := !loopback(l.Addr())
	if exposed {
		s.adminExposed.Store(true)
	}
	if s.tokens == nil && exposed {
		s.config.Logger.Warn("open without tokens: anyone who reaches this address may read metrics and take profiles; bind it to loopback or give a token file",
			zap.Stringer("address", l.Addr()))
	}
	return s.serve(s.admin, s.adminGate, listen.Wrap(l, "admin", s.config.Logger), nil)
}

package serve

import (
	"context"
	"strings"

	"viakv/api/kv"
	"viakv/cmd/cliutil"
)

// backend is what answers the API: a node of the mesh, or a database.
type backend interface {
	kv.Store
	kv.Cluster
	// Run works until ctx ends, and returns when everything that it started has stopped.
	Run(ctx context.Context) error
}

// newBackend makes what --store names.
func (s *Server) newBackend(ctx context.Context) (backend, error) {
	switch s.storeName() {
	case "memory":
		return s.newNode()
	case "postgres", "postgresql":
		return s.openPostgres(ctx)
	case "mongodb", "mongodb+srv":
		return s.openMongoDB(ctx)
	}
	// What was given may be a secret with a slip in it, so it is not quoted.
	return nil, cliutil.Usagef("--store: want memory, or a database's URL: postgres://user:password@host:port/database or mongodb://user:password@host:port/database")
}

// storeName names the store without its address, which may hold a password.
func (s *Server) storeName() string {
	scheme, _, _ := strings.Cut(s.cfg.store, "://")
	return scheme
}

package serve

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/cmd/cliutil"
	"viakv/node/database/mongodb"
	"viakv/node/database/postgres"
	"viakv/node/database/stateless"
)

// backend answers the API: a node of the mesh, or a store on a database.
type backend interface {
	kv.Store
	kv.Cluster
	// Run works until ctx ends. It returns when everything that it started has stopped.
	Run(ctx context.Context) error
}

// newBackend makes the store that --store names.
func (s *Server) newBackend(ctx context.Context) (backend, error) {
	switch s.storeName() {
	case "memory":
		return s.newNode()
	case "postgres", "postgresql":
		return s.openPostgres(ctx)
	case "mongodb", "mongodb+srv":
		return s.openMongoDB(ctx)
	}
	// The given text may be a misspelt URL with a password, so it is not quoted.
	return nil, cliutil.Usagef("--store: want memory, or a database's URL: postgres://user:password@host:port/database or mongodb://user:password@host:port/database")
}

// storeName names the store without its address, which may hold a password.
func (s *Server) storeName() string {
	scheme, _, _ := strings.Cut(s.cfg.store, "://")
	return scheme
}

// database is a store on a database. It works from the moment when it is opened.
type database struct {
	databaseStore
	metrics []prometheus.Collector
	log     *zap.Logger
}

type databaseStore interface {
	kv.Store
	kv.Cluster
	// Close waits for what the store has started, and disconnects.
	Close()
}

// lookEvery is how often a node checks its database, for the log. If the store's own last check is
// recent, the store answers from that.
const lookEvery = time.Second

// Run implements backend. It logs when the database can no longer be used, and when it can be used
// again.
func (d database) Run(ctx context.Context) error {
	defer d.Close()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for lost := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		err := d.Ready(ctx)
		_ = d.Status() // notes what has changed, for those who ask for events
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !lost:
			d.log.Error("not ready: the database cannot be used", zap.Error(err))
		case err == nil && lost:
			d.log.Info("ready again: the database can be used")
		default:
			continue
		}
		lost = !lost
	}
}

func (s *Server) openPostgres(ctx context.Context) (backend, error) {
	s.log.Info("connecting to the database", zap.String("store", s.storeName()))
	store, err := postgres.Open(ctx, postgres.Config{URL: s.cfg.store, Name: s.cfg.name, Timeout: s.cfg.timeout})
	if err != nil {
		return nil, err
	}
	return database{store, []prometheus.Collector{
		newPoolMetrics(func() stateless.Pool { return store.Stats().Pool }),
		newCollectedRows(func() uint64 { return store.Stats().Collected }),
	}, s.log}, nil
}

func (s *Server) openMongoDB(ctx context.Context) (backend, error) {
	s.log.Info("connecting to the database", zap.String("store", s.storeName()))
	store, err := mongodb.Open(ctx, mongodb.Config{URL: s.cfg.store, Name: s.cfg.name, Timeout: s.cfg.timeout})
	if err != nil {
		return nil, err
	}
	return database{store, []prometheus.Collector{newPoolMetrics(func() stateless.Pool { return store.Stats().Pool })}, s.log}, nil
}

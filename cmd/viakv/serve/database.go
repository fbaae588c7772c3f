package serve

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/database/mongodb"
	"viakv/node/database/postgres"
	"viakv/node/database/stateless"
)

// database is a store on a database. It works from the moment it is opened.
type database struct {
	databaseStore
	metrics []prometheus.Collector
	log     *zap.Logger
}

type databaseStore interface {
	kv.Store
	kv.Cluster
	// Close waits for what the store has started and disconnects.
	Close()
}

// lookEvery is how often a node looks for its database, for the log. The store answers from its own last look where that is fresh.
const lookEvery = time.Second

// Run implements backend: it logs when the database can no longer be used, and when it can again.
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
		switch err := d.Ready(ctx); {
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

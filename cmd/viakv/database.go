package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"viakv/api/kv"
	"viakv/node/database/mongodb"
	"viakv/node/database/postgres"
	"viakv/node/database/stateless"
)

// database is a store on a database. It works from the moment it is opened.
type database struct {
	databaseStore
	metrics []prometheus.Collector
}

type databaseStore interface {
	kv.Store
	kv.Cluster
	// Close waits for what the store has started and disconnects.
	Close()
}

// Run implements backend.
func (d database) Run(ctx context.Context) error {
	<-ctx.Done()
	d.Close()
	return nil
}

func (s *server) openPostgres(ctx context.Context) (backend, error) {
	store, err := postgres.Open(ctx, postgres.Config{URL: s.cfg.store, Name: s.cfg.name, Timeout: s.cfg.timeout})
	if err != nil {
		return nil, err
	}
	return database{store, []prometheus.Collector{
		newPoolMetrics(func() stateless.Pool { return store.Stats().Pool }),
		newCollectedRows(func() uint64 { return store.Stats().Collected }),
	}}, nil
}

func (s *server) openMongoDB(ctx context.Context) (backend, error) {
	store, err := mongodb.Open(ctx, mongodb.Config{URL: s.cfg.store, Name: s.cfg.name, Timeout: s.cfg.timeout})
	if err != nil {
		return nil, err
	}
	return database{store, []prometheus.Collector{newPoolMetrics(func() stateless.Pool { return store.Stats().Pool })}}, nil
}

package main

import (
	"context"

	"viakv/api/kv"
	"viakv/node/database/mongodb"
	"viakv/node/database/postgres"
)

// database is a store on a database. It works from the moment it is opened.
type database struct {
	databaseStore
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
	return database{store}, nil
}

func (s *server) openMongoDB(ctx context.Context) (backend, error) {
	store, err := mongodb.Open(ctx, mongodb.Config{URL: s.cfg.store, Name: s.cfg.name, Timeout: s.cfg.timeout})
	if err != nil {
		return nil, err
	}
	return database{store}, nil
}

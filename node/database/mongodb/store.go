package mongodb

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"viakv/api/kv"
	"viakv/node/database/stateless"
	"viakv/quorum/version"
)

// Store keeps keys and values in MongoDB. It implements kv.Store and kv.Cluster, and is safe for
// concurrent use.
type Store struct {
	stateless.Cluster

	cfg         Config
	scrub       stateless.Scrubber
	client      *mongo.Client
	connections connections

	state *mongo.Collection
	items *mongo.Collection // for keys that are named: linearizable where there is a majority to ask (N2, N7)
	pages *mongo.Collection // for scans: majority

	seal *stateless.Seal
}

// Stats holds figures for the metrics page.
type Stats struct {
	stateless.Pool
}

// Stats returns the present figures.
func (s *Store) Stats() Stats { return Stats{s.connections.pool()} }

// closePatience is how long Close waits for requests under way.
const closePatience = 5 * time.Second

// Close ends the connections. It waits for requests under way, but no longer than closePatience. It
// must be called once only.
func (s *Store) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	_ = s.client.Disconnect(ctx) // even on an error the connections are closed
}

const valueField = "v"

var (
	onlyValue = options.FindOne().SetProjection(bson.D{{Key: valueField, Value: 1}, {Key: "_id", Value: 0}})
	onlyID    = options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})
	upsert    = options.UpdateOne().SetUpsert(true)
)

func byKey(key []byte) bson.D { return bson.D{{Key: "_id", Value: string(key)}} }

// Get implements kv.Store.
func (s *Store) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	out := dst
	err := s.attempt(ctx, o.Deadline, reads, func(ctx context.Context) error {
		raw, err := s.items.FindOne(ctx, byKey(key), onlyValue).Raw()
		if err != nil {
			return missing(err)
		}
		_, v, ok := raw.Lookup(valueField).BinaryOK()
		if !ok {
			return s.foreignDocument()
		}
		out = append(dst, v...)
		return nil
	})
	if err != nil {
		return dst, version.Tag{}, err
	}
	return out, version.Tag{}, nil
}

// Has implements kv.Store.
func (s *Store) Has(ctx context.Context, key []byte, o kv.Options) (version.Tag, error) {
	return version.Tag{}, s.attempt(ctx, o.Deadline, reads, func(ctx context.Context) error {
		return missing(s.items.FindOne(ctx, byKey(key), onlyID).Err())
	})
}

// Set implements kv.Store.
func (s *Store) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	return version.Tag{}, s.attempt(ctx, o.Deadline, mutates, func(ctx context.Context) error {
		_, err := s.items.UpdateOne(ctx, byKey(key), setValue(value), upsert)
		return err
	})
}

// Remove implements kv.Store. The delete is atomic: of several that overlap, only one counts the
// document.
func (s *Store) Remove(ctx context.Context, key []byte, o kv.Options) error {
	return s.attempt(ctx, o.Deadline, mutates, func(ctx context.Context) error {
		r, err := s.items.DeleteOne(ctx, byKey(key))
		if err == nil && r.DeletedCount == 0 {
			return kv.ErrMissing
		}
		return err
	})
}

// Clear implements kv.Store (N3). It never re-runs a drop whose answer was lost: a late second drop
// would remove newer keys.
func (s *Store) Clear(ctx context.Context, o kv.Options) error {
	deadline := stateless.Until(o.Deadline, max(clearTimeout, s.cfg.Timeout))
	// Raising the count changes no key. Whatever becomes of it, the outcome of the clear is that of
	// the drop.
	err := s.attempt(ctx, deadline, reads, func(ctx context.Context) error {
		_, err := s.state.UpdateOne(ctx, stateFilter, bson.D{{Key: "$inc", Value: bson.D{{Key: "generation", Value: int64(1)}}}})
		return err
	})
	if err != nil {
		return err
	}
	return s.attempt(ctx, deadline, mutates, func(ctx context.Context) error {
		err := s.items.Drop(ctx)
		if hasCode(err, namespaceNotFound) {
			return nil // no key was ever set, or another clear was first
		}
		return err
	})
}

// clearTimeout is the time that a clear may take by default, because it waits for the collection's
// lock.
const clearTimeout = 10 * time.Second

// missing turns the driver's "no documents" into the contract's kv.ErrMissing.
func missing(err error) error {
	if errors.Is(err, mongo.ErrNoDocuments) {
		return kv.ErrMissing
	}
	return err
}

func (s *Store) foreignDocument() error {
	return s.unavailable(kv.None, "a document in viakv_items has no binary field v: something else writes into viakv's collection", nil)
}

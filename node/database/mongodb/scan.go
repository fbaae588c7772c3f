package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"viakv/api/kv"
	"viakv/node/database/stateless"
)

// scanner walks over the documents in the order of _id, a page at a time. Each page is a find of
// its own. Between pages the scanner holds nothing on the server.
type scanner struct {
	stateless.Pages
	store    *Store
	deadline time.Time // of the whole scan; zero: each page has a time-out of its own
	values   bool
	prefix   string
	to       string // beyond the prefix; empty: no end
}

// Scan implements kv.Store. An explicit deadline bounds the whole scan. Without one each page has a
// time-out of its own, because the reader decides how long a scan takes.
func (s *Store) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	if o.Snapshot {
		return nil, &kv.ArgumentError{Parameter: "snapshot", Detail: "a store on MongoDB cannot promise one; scan without it"}
	}
	sc := &scanner{store: s, deadline: o.Deadline, values: o.Values, prefix: o.Prefix, to: stateless.Successor(o.Prefix)}
	sc.Pages = stateless.Pages{Fetch: sc.page, Seal: s.seal}
	var err error
	if sc.Generation, err = sc.current(ctx); err != nil {
		return nil, err
	}
	if err := sc.Begin(ctx, o.Cursor); err != nil {
		return nil, err
	}
	return sc, nil
}

// Close implements kv.Scanner. There is nothing to release.
func (sc *scanner) Close() {}

// page is the Fetch of its Pages. It reads the count of clears after the page: if the count has not
// moved, the page was read before any clear.
func (sc *scanner) page(ctx context.Context, b *kv.Batch, after []byte, limit int) error {
	err := sc.store.attempt(ctx, sc.pageDeadline(), reads, func(ctx context.Context) error {
		b.Reset()
		return sc.read(ctx, b, string(after), limit)
	})
	if err != nil {
		return err
	}
	now, err := sc.current(ctx)
	if err == nil && now != sc.Generation {
		err = kv.ErrCleared
	}
	return err
}

func (sc *scanner) read(ctx context.Context, b *kv.Batch, after string, limit int) error {
	o := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(int64(limit)).SetBatchSize(int32(limit))
	if !sc.values {
		o.SetProjection(bson.D{{Key: "_id", Value: 1}})
	}
	cursor, err := sc.store.pages.Find(ctx, sc.filter(after), o)
	if err != nil {
		return err
	}
	defer cursor.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the cursor is exhausted, or the page has failed already
	for cursor.Next(ctx) {
		start := len(b.Arena)
		key, ok := cursor.Current.Lookup("_id").StringValueOK()
		if !ok {
			return sc.store.foreignDocument()
		}
		b.Arena = append(b.Arena, key...)
		split := len(b.Arena)
		p := kv.Pair{}
		if sc.values {
			_, v, ok := cursor.Current.Lookup(valueField).BinaryOK()
			if !ok {
				return sc.store.foreignDocument()
			}
			b.Arena = append(b.Arena, v...)
			p.Value = b.Arena[split:len(b.Arena):len(b.Arena)]
		}
		// Where the arena moves to grow, earlier pairs keep its former memory alive. That happens a
		// few times, until the arena is as large as a page.
		p.Key = b.Arena[start:split:split]
		b.Pairs = append(b.Pairs, p)
	}
	return cursor.Err()
}

// filter selects the documents behind a key.
func (sc *scanner) filter(after string) bson.D {
	bounds := bson.D{{Key: "$gte", Value: sc.prefix}}
	if after >= sc.prefix && after != "" {
		bounds = bson.D{{Key: "$gt", Value: after}}
	}
	if sc.to != "" {
		bounds = append(bounds, bson.E{Key: "$lt", Value: sc.to})
	}
	return bson.D{{Key: "_id", Value: bounds}}
}

// current reads the count of clears.
func (sc *scanner) current(ctx context.Context) (g int64, err error) {
	err = sc.store.attempt(ctx, sc.pageDeadline(), reads, func(ctx context.Context) error {
		d, err := sc.store.readState(ctx)
		g = d.Generation
		return sc.store.stateError(err)
	})
	sc.store.Generation.Note(g)
	return g, err
}

func (sc *scanner) pageDeadline() time.Time {
	return stateless.Until(sc.deadline, max(stateless.PageTimeout, sc.store.cfg.Timeout))
}

package mongodb

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"viakv/api/kv/kvtest"
	"viakv/node/database/stateless"
)

// The benchmarks compare the store with the raw driver, which sends the same commands with the same
// deadline. Both use a stand-in that answers from memory. So a database's own work, which would
// hide what the store adds, is left out. Store and driver share the processor with the stand-in, as
// they would with a local database.

const benchKeys = 10_000

func benchKeyList() (keys [][]byte) {
	for n := range benchKeys {
		keys = append(keys, fmt.Appendf(nil, "key %09d", n))
	}
	return keys
}

// bench returns a store on a stand-in with so many documents, and the same database through a
// driver that the store has not touched.
func bench(b *testing.B, documents int) (s *Store, raw *mongo.Database) {
	b.Helper()
	r := newStandIn(b)
	r.put(documents, []byte("a value of some forty characters, no less"))
	client, err := mongo.Connect(options.Client().ApplyURI(r.url()).SetMaxPoolSize(defaultConnections).SetWriteConcern(writeconcern.Majority()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Disconnect(bg) })
	return openOn(b, r.url()), client.Database("db")
}

func BenchmarkSingle(b *testing.B) {
	s, raw := bench(b, benchKeys)
	items := raw.Collection(itemsName, options.Collection().SetReadConcern(readconcern.Linearizable()))
	value, keys := []byte("a value of some forty characters, no less"), benchKeyList()
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("get/clients=%d", n), func(b *testing.B) {
			kvtest.CompareSingle(b, n, keys, func(key []byte) error {
				ctx, cancel := context.WithTimeout(bg, time.Minute)
				defer cancel()
				return items.FindOne(ctx, bson.D{{Key: "_id", Value: string(key)}}, onlyValue).Err()
			}, func(key []byte) error {
				_, _, err := s.Get(bg, nil, key, patient())
				return err
			})
		})
		b.Run(fmt.Sprintf("set/clients=%d", n), func(b *testing.B) {
			kvtest.CompareSingle(b, n, keys, func(key []byte) error {
				ctx, cancel := context.WithTimeout(bg, time.Minute)
				defer cancel()
				_, err := items.UpdateOne(ctx, bson.D{{Key: "_id", Value: string(key)}},
					bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: bson.Binary{Data: value}}}}}, upsert)
				return err
			}, func(key []byte) error {
				_, err := s.Set(bg, key, value, patient())
				return err
			})
		})
	}
}

// BenchmarkScan walks over a million documents by keyset pages, keys and values.
func BenchmarkScan(b *testing.B) {
	const documents = 1_000_000
	s, raw := bench(b, documents)
	pages := raw.Collection(itemsName, options.Collection().SetReadConcern(readconcern.Majority()))
	kvtest.Compare(b, documents, "row/s",
		func() time.Duration { return scanRaw(b, pages, documents) },
		func() time.Duration { return kvtest.TimeScan(b, s, documents) })
}

func scanRaw(b *testing.B, pages *mongo.Collection, want int) time.Duration {
	b.Helper()
	began := time.Now()
	n, from := 0, ""
	o := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(stateless.FullPage).SetBatchSize(stateless.FullPage)
	for page := stateless.FullPage; page == stateless.FullPage; {
		page = 0
		cursor, err := pages.Find(bg, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: from}}}}, o)
		if err != nil {
			b.Fatal(err)
		}
		for cursor.Next(bg) {
			key := cursor.Current.Lookup("_id").StringValue()
			if _, v := cursor.Current.Lookup("v").Binary(); len(v) == 0 {
				b.Fatalf("%s has no value", key)
			}
			from = key
			page++
		}
		if err := cursor.Err(); err != nil {
			b.Fatal(err)
		}
		n += page
	}
	if n != want {
		b.Fatalf("%d documents", n)
	}
	return time.Since(began)
}

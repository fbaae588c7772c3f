package mongodb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"viakv/api/kv"
)

// The benchmarks stand beside the raw driver sending the same commands with the same deadline to a stand-in that answers from memory: a database's
// own work, which would hide what the store adds, is left out. It shares the processor with the stand-in, as it would with a local database.

const benchKeys = 10_000

func benchKey(n int) []byte { return fmt.Appendf(nil, "key %09d", n) }

// bench returns a store on a stand-in with so many documents, and the same collections by a driver that the store has not touched.
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
	value := []byte("a value of some forty characters, no less")
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("get/clients=%d", n), func(b *testing.B) {
			paired(b, n, func(key []byte) error {
				ctx, cancel := context.WithTimeout(bg, time.Minute)
				defer cancel()
				return items.FindOne(ctx, bson.D{{Key: "_id", Value: string(key)}}, onlyValue).Err()
			}, func(key []byte) error {
				_, _, err := s.Get(bg, nil, key, patient())
				return err
			})
		})
		b.Run(fmt.Sprintf("set/clients=%d", n), func(b *testing.B) {
			paired(b, n, func(key []byte) error {
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

// paired measures raw and store in turns, a slice of each per iteration, and compares the medians: what else the machine does
// in between hits some slices of both.
func paired(b *testing.B, n int, raw, store func(key []byte) error) {
	const slice = 256
	compare(b, slice, "op/s",
		func() time.Duration { return clients(b, n, slice, raw) },
		func() time.Duration { return clients(b, n, slice, store) })
}

// compare runs both in turns and reports the medians of what they took for so many things each.
func compare(b *testing.B, things int, unit string, raw, store func() time.Duration) {
	var took [2][]time.Duration
	for i := 0; b.Loop(); i++ {
		fns := [2]func() time.Duration{raw, store}
		for j := range fns {
			which := (i + j) % 2 // each comes first as often
			took[which] = append(took[which], fns[which]())
		}
	}
	var median [2]float64
	for i := range took {
		slices.Sort(took[i])
		median[i] = took[i][len(took[i])/2].Seconds()
	}
	b.ReportMetric(float64(things)/median[0], "raw-"+unit)
	b.ReportMetric(float64(things)/median[1], "store-"+unit)
	b.ReportMetric(median[0]/median[1], "store/raw")
}

// clients runs fn so many times over n goroutines and returns how long that took.
func clients(b *testing.B, n, times int, fn func(key []byte) error) time.Duration {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(times))
	var wg sync.WaitGroup
	began := time.Now()
	for range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := fn(benchKey(rand.IntN(benchKeys))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// BenchmarkScan walks over a million documents by keyset pages, keys and values.
func BenchmarkScan(b *testing.B) {
	const documents = 1_000_000
	s, raw := bench(b, documents)
	pages := raw.Collection(itemsName, options.Collection().SetReadConcern(readconcern.Majority()))
	compare(b, documents, "row/s",
		func() time.Duration { return scanRaw(b, pages, documents) },
		func() time.Duration { return scanStore(b, s, documents) })
}

func scanRaw(b *testing.B, pages *mongo.Collection, want int) time.Duration {
	b.Helper()
	began := time.Now()
	n, from := 0, ""
	o := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(fullPage).SetBatchSize(fullPage)
	for page := fullPage; page == fullPage; {
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

func scanStore(b *testing.B, s *Store, want int) time.Duration {
	b.Helper()
	began := time.Now()
	sc, err := s.Scan(bg, kv.ScanOptions{Values: true})
	if err != nil {
		b.Fatal(err)
	}
	defer sc.Close()
	n := 0
	for batch := new(kv.Batch); ; {
		more, err := sc.Next(bg, batch)
		if err != nil {
			b.Fatal(err)
		}
		if !more {
			break
		}
		n += len(batch.Pairs)
	}
	if n != want {
		b.Fatalf("%d documents", n)
	}
	return time.Since(began)
}

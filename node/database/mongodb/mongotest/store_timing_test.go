package mongotest

import (
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
)

// benchKeys is small, so that FerretDB's cost per request does not drown what the store adds to it.
const benchKeys = 1000

// BenchmarkSingle compares the store with the raw driver, which sends the same commands to the same
// server. The two take turns, and the medians of their slices are compared.
func BenchmarkSingle(b *testing.B) {
	url := server.URL(b)
	s := openOn(b, url)
	items := raw(b, url).Collection("viakv_items")
	value := []byte("a value of some forty characters, no less")
	var keys [][]byte
	for i := range benchKeys {
		keys = append(keys, fmt.Appendf(nil, "key %06d", i))
		if _, err := s.Set(bg, keys[i], value, kv.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	projection := options.FindOne().SetProjection(bson.D{{Key: "v", Value: 1}, {Key: "_id", Value: 0}})
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("get/clients=%d", n), func(b *testing.B) {
			kvtest.CompareSingle(b, n, keys, func(key []byte) error {
				return items.FindOne(bg, bson.D{{Key: "_id", Value: string(key)}}, projection).Err()
			}, func(key []byte) error {
				_, _, err := s.Get(bg, nil, key, kv.Options{Deadline: time.Now().Add(time.Minute)})
				return err
			})
		})
		b.Run(fmt.Sprintf("set/clients=%d", n), func(b *testing.B) {
			kvtest.CompareSingle(b, n, keys, func(key []byte) error {
				_, err := items.UpdateOne(bg, bson.D{{Key: "_id", Value: string(key)}},
					bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: bson.Binary{Data: value}}}}}, options.UpdateOne().SetUpsert(true))
				return err
			}, func(key []byte) error {
				_, err := s.Set(bg, key, value, kv.Options{Deadline: time.Now().Add(time.Minute)})
				return err
			})
		})
	}
}

// BenchmarkScan walks over few documents, because FerretDB sorts all of them for each page. The
// store's own package walks over a million, on a stand-in.
func BenchmarkScan(b *testing.B) {
	const documents, page = 20_000, 4096
	url := server.URL(b)
	s := openOn(b, url)
	items := raw(b, url).Collection("viakv_items")
	fill(b, items, documents, []byte("a value of some forty characters, no less"))
	o := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(page).SetBatchSize(page)
	kvtest.Compare(b, documents, "row/s", func() time.Duration {
		began := time.Now()
		from, found := "", 0
		for n := page; n == page; found += n {
			cursor, err := items.Find(bg, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: from}}}}, o)
			if err != nil {
				b.Fatal(err)
			}
			for n = 0; cursor.Next(bg); n++ {
				from = cursor.Current.Lookup("_id").StringValue()
			}
			if err := cursor.Err(); err != nil {
				b.Fatal(err)
			}
		}
		if found != documents {
			b.Fatalf("%d documents", found)
		}
		return time.Since(began)
	}, func() time.Duration { return kvtest.TimeScan(b, s, documents) })
}

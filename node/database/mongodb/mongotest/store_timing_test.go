package mongotest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"viakv/api/kv"
)

// benchKeys is small: FerretDB's cost per request must not drown what the store adds to it.
const benchKeys = 1000

func benchKey(n int) []byte { return fmt.Appendf(nil, "key %06d", n) }

// BenchmarkSingle stands beside the raw driver sending the same command to the same server: the medians of slices in turns.
func BenchmarkSingle(b *testing.B) {
	url := server.URL(b)
	s := openOn(b, url)
	items := raw(b, url).Collection("viakv_items")
	value := []byte("a value of some forty characters, no less")
	for i := range benchKeys {
		if _, err := s.Set(bg, benchKey(i), value, kv.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	projection := options.FindOne().SetProjection(bson.D{{Key: "v", Value: 1}, {Key: "_id", Value: 0}})
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("get/clients=%d", n), func(b *testing.B) {
			paired(b, n, func(key []byte) error {
				return items.FindOne(bg, bson.D{{Key: "_id", Value: string(key)}}, projection).Err()
			}, func(key []byte) error {
				_, _, err := s.Get(bg, nil, key, kv.Options{Deadline: time.Now().Add(time.Minute)})
				return err
			})
		})
		b.Run(fmt.Sprintf("set/clients=%d", n), func(b *testing.B) {
			paired(b, n, func(key []byte) error {
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

func paired(b *testing.B, n int, raw, store func(key []byte) error) {
	const slice = 128
	var took [2][]time.Duration
	for i := 0; b.Loop(); i++ {
		fns := [2]func([]byte) error{raw, store}
		for j := range fns {
			which := (i + j) % 2 // each comes first as often
			took[which] = append(took[which], clients(b, n, slice, fns[which]))
		}
	}
	var median [2]float64
	for i := range took {
		slices.Sort(took[i])
		median[i] = took[i][len(took[i])/2].Seconds()
	}
	b.ReportMetric(slice/median[0], "raw-op/s")
	b.ReportMetric(slice/median[1], "store-op/s")
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

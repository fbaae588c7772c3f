package mongotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/node/database/dbtest"
	"viakv/node/database/mongodb"
	"viakv/node/database/stateless"
)

// raw returns the driver's own view of a store's database.
func raw(t testing.TB, url string) *mongo.Database {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(url))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(bg) })
	return c.Database(url[strings.LastIndex(url, "/")+1:])
}

// fill adds documents, a multiple of 1000, without the store.
func fill(t testing.TB, items *mongo.Collection, documents int, value []byte) {
	t.Helper()
	for i := 0; i < documents; i += 1000 {
		docs := make([]any, 0, 1000)
		for j := range 1000 {
			docs = append(docs, bson.D{{Key: "_id", Value: fmt.Sprintf("key %06d", i+j)}, {Key: "v", Value: bson.Binary{Data: value}}})
		}
		if _, err := items.InsertMany(bg, docs); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpenSaysWhatIsWrong: each mistake that can be shown on FerretDB has an error of its own,
// which comes soon and without the password.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	newer, foreign, lost := server.URL(t), server.URL(t), server.URL(t)
	for url, state := range map[string]bson.D{
		newer:   {{Key: "_id", Value: "viakv"}, {Key: "schema", Value: int32(9)}, {Key: "generation", Value: int64(1)}, {Key: "cursorKey", Value: bson.Binary{Data: bytes.Repeat([]byte{1}, 32)}}},
		foreign: {{Key: "_id", Value: "viakv"}, {Key: "x", Value: 1}},
	} {
		if _, err := raw(t, url).Collection("viakv_state").InsertOne(bg, state); err != nil {
			t.Fatal(err)
		}
	}
	silent, err := dbtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, url, want string }{
		{"newer schema", newer, "newer"},
		{"foreign state", foreign, "not viakv's"},
		{"no database", "mongodb://" + server.Address(), "names no database"},
		{"nobody there", fmt.Sprintf("mongodb://u:hunter2@127.0.0.1:%d/db", silent), "cannot be reached"},
		{"unescaped", "mongodb://u:hun/ter2@" + server.Address() + "/db", "percent codes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			patience := time.Minute
			if c.name == "nobody there" {
				patience = 700 * time.Millisecond // the only mistake that Open waits for
			}
			ctx, cancel := context.WithTimeout(bg, patience)
			defer cancel()
			s, err := mongodb.Open(ctx, mongodb.Config{URL: c.url})
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "ter2") {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}

	s := openOn(t, lost)
	if _, err := raw(t, lost).Collection("viakv_state").DeleteMany(bg, bson.D{{Key: "_id", Value: "viakv"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(bg); err == nil || !strings.Contains(err.Error(), "viakv_state") {
		t.Errorf("ready without the state document: %v", err)
	}
	if _, err := s.Scan(bg, kv.ScanOptions{}); dbtest.OutcomeOf(t, err) != kv.None {
		t.Errorf("scan: %v", err)
	}
}

// TestForeignDocuments: a document that another program wrote into the collection is an error, not
// a value.
func TestForeignDocuments(t *testing.T) {
	url := server.URL(t)
	s := openOn(t, url)
	if _, err := raw(t, url).Collection("viakv_items").InsertOne(bg, bson.D{{Key: "_id", Value: "k"}, {Key: "v", Value: 1}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(bg, nil, []byte("k"), kv.Options{}); dbtest.OutcomeOf(t, err) != kv.None {
		t.Error(err)
	}
	if _, err := s.Scan(bg, kv.ScanOptions{Values: true}); dbtest.OutcomeOf(t, err) != kv.None {
		t.Error(err)
	}
	if _, err := s.Set(bg, []byte("own"), []byte("v"), kv.Options{}); err != nil {
		t.Fatal(err)
	}
	batch := []kv.Read{{Key: []byte("k")}, {Key: []byte("own")}, {Key: []byte("k")}}
	s.GetMany(bg, nil, batch, kv.Options{})
	for i, r := range batch {
		switch {
		case i == 1 && (r.Err != nil || string(r.Value) != "v"):
			t.Errorf("beside a foreign document: %q, %v", r.Value, r.Err)
		case i != 1 && (r.Value != nil || dbtest.OutcomeOf(t, r.Err) != kv.None):
			t.Errorf("a foreign document in a batch: %q, %v", r.Value, r.Err)
		}
	}
}

// TestEightNodesStartAtOnce: all nodes take the same state document, and accept each other's
// cursors.
func TestEightNodesStartAtOnce(t *testing.T) {
	const nodes = 8
	url := server.URL(t)
	stores := make([]*mongodb.Store, nodes)
	errs := make([]error, nodes)
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() { stores[i], errs[i] = mongodb.Open(bg, mongodb.Config{URL: url, Name: fmt.Sprint(i)}) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"a", "b"} {
		if _, err := stores[0].Set(bg, []byte(k), []byte("v"), kv.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	sc, err := stores[0].Scan(bg, kv.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var b kv.Batch
	if more, err := sc.Next(bg, &b); !more || err != nil {
		t.Fatal(more, err)
	}
	cursor := sc.Cursor(1)
	sc.Close()
	for i, s := range stores {
		sc, err := s.Scan(bg, kv.ScanOptions{Cursor: cursor})
		if err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
		if more, err := sc.Next(bg, &b); !more || err != nil || len(b.Pairs) != 1 || string(b.Pairs[0].Key) != "b" {
			t.Fatalf("node %d: %v %v %v", i, more, err, b.Pairs)
		}
		sc.Close()
		s.Close()
	}
}

// TestServerStopsAndComesBack: under load the server ends and starts again.
func TestServerStopsAndComesBack(t *testing.T) {
	own, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	dbtest.OutlivesServer(t, openOn(t, "mongodb://"+own.Address()+"/db"), 50, own.Stop, own.Restart)
}

// proxied returns a store with so many connections through a proxy, and the proxy.
func proxied(t *testing.T, connections int) (*mongodb.Store, *dbtest.Proxy) {
	t.Helper()
	proxy := dbtest.NewProxy(t, server.Address())
	return openOn(t, fmt.Sprintf("%s?maxPoolSize=%d", proxy.Through(server.URL(t)), connections)), proxy
}

func TestBlackHole(t *testing.T) {
	s, proxy := proxied(t, 2)
	dbtest.BlackHole(t, s, proxy)
}

func TestSlowDatabase(t *testing.T) {
	s, proxy := proxied(t, 3)
	dbtest.SlowDatabase(t, s, proxy, 3, func() stateless.Pool { return s.Stats().Pool })
}

// TestScanIsFlat: a scan keeps pages in memory, not the collection. On FerretDB a page costs a walk
// over all documents, so there are few documents.
func TestScanIsFlat(t *testing.T) {
	const rows = 20_000
	url := server.URL(t)
	s := openOn(t, url)
	fill(t, raw(t, url).Collection("viakv_items"), rows, bytes.Repeat([]byte("v"), 1000))
	kvtest.ScanIsFlat(t, s, rows, 1<<30) // FerretDB shares the heap
	began := time.Now()
	if err := s.Clear(bg, kv.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("clear of %d rows: %v", rows, time.Since(began))
}

// TestStatus: the status names the node and the database.
func TestStatus(t *testing.T) {
	s := openOn(t, server.URL(t))
	if st := s.Status(); st.Mode != "mongodb" || st.State != "active" || st.Self != "test" || st.Generation != 1 {
		t.Errorf("status: %+v", st)
	}
}

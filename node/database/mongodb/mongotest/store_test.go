package mongotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/node/database/faultproxy"
	"viakv/node/database/mongodb"
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

func outcomeOf(t *testing.T, err error) kv.Outcome {
	t.Helper()
	var u *kv.Unavailable
	if !errors.As(err, &u) {
		t.Fatalf("got %v, want Unavailable", err)
	}
	return u.Outcome
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := l.Addr().String()
	l.Close()
	for _, c := range []struct{ name, url, want string }{
		{"newer schema", newer, "newer"},
		{"foreign state", foreign, "not viakv's"},
		{"no database", "mongodb://" + server.Address(), "names no database"},
		{"nobody there", "mongodb://u:hunter2@" + silent + "/db", "cannot be reached"},
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
	if _, err := s.Scan(bg, kv.ScanOptions{}); outcomeOf(t, err) != kv.None {
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
	if _, _, err := s.Get(bg, nil, []byte("k"), kv.Options{}); outcomeOf(t, err) != kv.None {
		t.Error(err)
	}
	if _, err := s.Scan(bg, kv.ScanOptions{Values: true}); outcomeOf(t, err) != kv.None {
		t.Error(err)
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

// TestServerStopsAndComesBack: the store says that it is not ready and why, and becomes ready again
// by itself. Nothing acknowledged is lost.
func TestServerStopsAndComesBack(t *testing.T) {
	own, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	s := openOn(t, "mongodb://"+own.Address()+"/db")
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				k := fmt.Sprintf("%d/%d", w, i)
				_, err := s.Set(bg, []byte(k), []byte(k), kv.Options{Deadline: time.Now().Add(time.Second)})
				if err == nil {
					mu.Lock()
					acknowledged[k] = true
					mu.Unlock()
				} else if !errors.Is(err, kv.ErrUnavailable) {
					t.Errorf("set: %v", err)
				}
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
	eventually(t, "writes", func() bool { return count() > 50 })
	own.Stop()
	eventually(t, "not ready", func() bool {
		return errors.Is(s.Ready(bg), kv.ErrUnavailable) && s.Status().State == "unavailable" && s.Status().Reason != nil
	})
	if err := own.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready again", func() bool { return s.Ready(bg) == nil })
	before := count()
	eventually(t, "writes again", func() bool { return count() > before+50 })
	close(stop)
	wg.Wait()
	for k := range acknowledged {
		if v, _, err := s.Get(bg, nil, []byte(k), kv.Options{}); err != nil || string(v) != k {
			t.Fatalf("acknowledged %s: got %q, %v", k, v, err)
		}
	}
}

// TestBlackHole: no answer comes back any more. A write that was sent has outcome unknown, a write
// that was not sent and a read have outcome none.
func TestBlackHole(t *testing.T) {
	url := server.URL(t)
	proxy := faultproxy.New(t, server.Address())
	s := openOn(t, strings.Replace(url, server.Address(), fmt.Sprintf("127.0.0.1:%d", proxy.Port()), 1)+"?maxPoolSize=2")
	if _, err := s.Set(bg, []byte("k"), []byte("old"), kv.Options{}); err != nil {
		t.Fatal(err)
	}
	proxy.Stall()
	deadline := func() kv.Options { return kv.Options{Deadline: time.Now().Add(600 * time.Millisecond)} }
	began := time.Now()
	_, err := s.Set(bg, []byte("k"), []byte("new"), deadline())
	if o := outcomeOf(t, err); o != kv.Unknown {
		t.Errorf("set: outcome %v (%v): it was sent and not answered", o, err)
	}
	if _, _, err := s.Get(bg, nil, []byte("k"), deadline()); outcomeOf(t, err) != kv.None {
		t.Errorf("get: %v", err)
	}
	for range 3 {
		_, err = s.Set(bg, []byte("other"), []byte("new"), deadline())
		outcomeOf(t, err)
	}
	if o := outcomeOf(t, err); o != kv.None {
		t.Errorf("set without a connection: outcome %v (%v)", o, err)
	}
	if d := time.Since(began); d > 30*time.Second {
		t.Errorf("five requests of 600 ms took %v", d)
	}
	eventually(t, "not ready", func() bool { return errors.Is(s.Ready(bg), kv.ErrUnavailable) })
	proxy.Flow()
	eventually(t, "writes", func() bool {
		_, err := s.Set(bg, []byte("k"), []byte("newest"), kv.Options{})
		return err == nil
	})
}

// TestSlowDatabase: with 30 ms on the wire and few connections, requests beyond the capacity are
// refused as an overload, with a time to come back.
func TestSlowDatabase(t *testing.T) {
	url := server.URL(t)
	proxy := faultproxy.New(t, server.Address())
	s := openOn(t, strings.Replace(url, server.Address(), fmt.Sprintf("127.0.0.1:%d", proxy.Port()), 1)+"?maxPoolSize=3")
	proxy.Delay(30 * time.Millisecond)
	var succeeded, overloaded atomic.Int64
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			_, err := s.Set(bg, []byte(fmt.Sprint(i)), []byte("v"), kv.Options{Deadline: time.Now().Add(500 * time.Millisecond)})
			var u *kv.Unavailable
			switch {
			case err == nil:
				succeeded.Add(1)
			case errors.As(err, &u) && u.Outcome == kv.None && u.RetryAfter > 0:
				overloaded.Add(1)
			case !errors.As(err, &u):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if succeeded.Load() == 0 || overloaded.Load() == 0 {
		t.Fatalf("%d succeeded, %d were refused as overload", succeeded.Load(), overloaded.Load())
	}
	if st := s.Stats(); st.Limit != 3 || st.InUse+st.Idle > 3 || st.Opened == 0 || st.Failed == 0 || st.Waited <= 0 || st.Waiting != 0 {
		t.Fatalf("%+v", st)
	}
}

// TestScanIsFlat: a scan keeps pages in memory, not the collection. On FerretDB a page costs a walk
// over all documents, so there are few documents.
func TestScanIsFlat(t *testing.T) {
	const rows = 20_000
	url := server.URL(t)
	s := openOn(t, url)
	items := raw(t, url).Collection("viakv_items")
	value := bytes.Repeat([]byte("v"), 1000)
	for i := 0; i < rows; i += 1000 {
		docs := make([]any, 0, 1000)
		for j := range 1000 {
			docs = append(docs, bson.D{{Key: "_id", Value: fmt.Sprintf("key %06d", i+j)}, {Key: "v", Value: bson.Binary{Data: value}}})
		}
		if _, err := items.InsertMany(bg, docs); err != nil {
			t.Fatal(err)
		}
	}
	kvtest.ScanIsFlat(t, s, rows, 1<<30) // FerretDB shares the heap
	began := time.Now()
	if err := s.Clear(bg, kv.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("clear of %d rows: %v", rows, time.Since(began))
}

// TestMesh: there is nothing to join or leave, and the answer says so.
func TestMesh(t *testing.T) {
	s := openOn(t, server.URL(t))
	if err := s.Join(bg, "127.0.0.1:1"); !errors.Is(err, kv.ErrNotMesh) {
		t.Errorf("join: %v", err)
	}
	if _, err := s.Leave(bg, "", true); !errors.Is(err, kv.ErrNotMesh) {
		t.Errorf("leave: %v", err)
	}
	if st := s.Status(); st.Mode != "mongodb" || st.State != "active" || st.Self != "test" || st.Generation != 1 {
		t.Errorf("status: %+v", st)
	}
}

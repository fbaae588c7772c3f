//go:build postgres

package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"viakv/api/kv"
	"viakv/node/database/faultproxy"
	"viakv/node/database/postgres/pgtest"
	"viakv/node/database/stateless"
)

// TestServerDiesAndComesBack: under load the server is killed and started again. Nothing
// acknowledged is lost, and no write that was reported as "none" has happened. The store says that
// it is not ready and why, and becomes ready again by itself.
func TestServerDiesAndComesBack(t *testing.T) {
	const writers = 8
	own, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	s := openOn(t, own.URL("postgres"))

	type record struct{ key, value string }
	var mu sync.Mutex
	acknowledged, refused := map[string]string{}, []record{}
	var unknown atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				r := record{fmt.Sprintf("%d/%d", w, i), fmt.Sprint(i)}
				_, err := s.Set(bg, []byte(r.key), []byte(r.value), kv.Options{})
				var u *kv.Unavailable
				mu.Lock()
				switch {
				case err == nil:
					acknowledged[r.key] = r.value
				case !errors.As(err, &u):
					t.Errorf("set: %v", err)
				case u.Outcome == kv.None:
					refused = append(refused, r)
				default:
					unknown.Add(1)
				}
				mu.Unlock()
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	// Kill the server, look at the store without it, and start it again.
	eventually(t, "writes", func() bool { return count() > 500 })
	own.Kill()
	eventually(t, "not ready", func() bool {
		err := s.Ready(bg)
		return errors.Is(err, kv.ErrUnavailable) && s.Status().State == "unavailable" && s.Status().Reason != nil
	})
	began := time.Now()
	if _, _, err := s.Get(bg, nil, []byte("k"), kv.Options{}); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("get without a server: %v", err)
	} else if strings.Contains(err.Error(), "s3cr") {
		t.Errorf("the error shows the password: %v", err)
	}
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("get without a server took %v", d)
	}
	if err := own.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready again", func() bool { return s.Ready(bg) == nil })
	before := count()
	eventually(t, "writes again", func() bool { return count() > before+500 })
	close(stop)
	wg.Wait()

	// Compare what is stored with what was reported.
	for k, v := range acknowledged {
		got, _, err := s.Get(bg, nil, []byte(k), kv.Options{})
		if err != nil || string(got) != v {
			t.Fatalf("acknowledged %s=%s: got %q, %v", k, v, got, err)
		}
	}
	for _, r := range refused[:min(len(refused), 2000)] {
		if _, err := s.Has(bg, []byte(r.key), kv.Options{}); !errors.Is(err, kv.ErrMissing) {
			t.Fatalf("%s was reported as outcome none: %v", r.key, err)
		}
	}
	t.Logf("%d acknowledged, %d none, %d unknown", len(acknowledged), len(refused), unknown.Load())
}

// TestScanOutlivesConnections: a scan goes on over a connection that breaks between two pages.
func TestScanOutlivesConnections(t *testing.T) {
	proxy := faultproxy.New(t, fmt.Sprintf("127.0.0.1:%d", server.Port))
	s := openOn(t, strings.Replace(server.URL(server.Database(t)), fmt.Sprint(server.Port), fmt.Sprint(proxy.Port()), 1))
	fillRows(t, s, 3*stateless.FullPage)
	sc, err := s.Scan(bg, kv.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	n := 0
	var b kv.Batch
	for {
		more, err := sc.Next(bg, &b)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		n += len(b.Pairs)
		proxy.Cut()
	}
	if n != 3*stateless.FullPage {
		t.Fatalf("%d rows, want %d", n, 3*stateless.FullPage)
	}
}

// slowStore returns a store with four connections through a proxy, and the proxy.
func slowStore(t *testing.T) (*Store, *faultproxy.Proxy) {
	t.Helper()
	proxy := faultproxy.New(t, fmt.Sprintf("127.0.0.1:%d", server.Port))
	s := openOn(t, strings.Replace(server.URL(server.Database(t)), fmt.Sprint(server.Port), fmt.Sprint(proxy.Port()), 1)+"&pool_max_conns=4")
	return s, proxy
}

// outcomeOf checks that an error is the contract's, and returns its outcome.
func outcomeOf(t *testing.T, err error) kv.Outcome {
	t.Helper()
	var u *kv.Unavailable
	if !errors.As(err, &u) {
		t.Fatalf("got %v, want Unavailable", err)
	}
	return u.Outcome
}

// TestLockedRow: a statement that waits for another session is cancelled at the deadline. So its
// outcome is known to be none, and the connection survives.
func TestLockedRow(t *testing.T) {
	db := server.Database(t)
	s := openOn(t, server.URL(db)+"&pool_max_conns=1") // a second connection shows that the first was lost
	if _, err := s.Set(bg, []byte("k"), []byte("old"), kv.Options{}); err != nil {
		t.Fatal(err)
	}
	other := openOn(t, server.URL(db))
	tx, err := other.pool.Begin(bg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(bg, `SELECT 1 FROM viakv_items FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	connections := s.pool.Stat().NewConnsCount()
	none, unknown := 0, 0
	for none < 3 && unknown < 10 {
		began := time.Now()
		_, err = s.Set(bg, []byte("k"), []byte("new"), kv.Options{Deadline: began.Add(1500 * time.Millisecond)})
		if d := time.Since(began); d > 15*time.Second {
			t.Errorf("took %v with a deadline of 1.5 s", d)
		}
		if outcomeOf(t, err) == kv.None {
			none++
		} else {
			unknown++ // a busy server may not cancel in time, and then the connection is given up
		}
	}
	if none < 3 {
		t.Errorf("%d of %d outcomes are unknown, the last one by %v: where the server cancels a statement, they are none", unknown, none+unknown, err)
	}
	if n := int(s.pool.Stat().NewConnsCount() - connections); n > unknown {
		t.Errorf("%d connections were replaced and %d outcomes unknown: cancelling should keep connections", n, unknown)
	}
	if err := tx.Rollback(bg); err != nil {
		t.Fatal(err)
	}
	if v, _, err := s.Get(bg, nil, []byte("k"), kv.Options{}); err != nil || unknown == 0 && string(v) != "old" {
		t.Fatalf("got %q, %v", v, err)
	}
}

// TestBlackHole: no answer comes back any more. At their deadline reads end with outcome none, and
// writes with outcome unknown. Later the store recovers by itself.
func TestBlackHole(t *testing.T) {
	s, proxy := slowStore(t)
	if _, err := s.Set(bg, []byte("k"), []byte("old"), kv.Options{}); err != nil {
		t.Fatal(err)
	}
	// Two connections are in the pool. Both were used within the last second, so that the pool does
	// not ping them first.
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _, _ = s.Has(bg, []byte("k"), kv.Options{}) })
	}
	wg.Wait()
	proxy.Stall()
	deadline := func() kv.Options { return kv.Options{Deadline: time.Now().Add(600 * time.Millisecond)} }
	began := time.Now()
	_, err := s.Set(bg, []byte("k"), []byte("new"), deadline())
	if o := outcomeOf(t, err); o != kv.Unknown {
		t.Errorf("set: outcome %v: it was sent and not answered", o)
	}
	if _, _, err = s.Get(bg, nil, []byte("k"), deadline()); outcomeOf(t, err) != kv.None {
		t.Errorf("get: %v", err)
	}
	_, err = s.Scan(bg, kv.ScanOptions{Options: deadline()})
	if outcomeOf(t, err) != kv.None {
		t.Errorf("scan: %v", err)
	}
	// No connection can be made now: nothing is sent.
	for range 4 {
		_, err = s.Set(bg, []byte("other"), []byte("new"), deadline())
		outcomeOf(t, err)
	}
	if o := outcomeOf(t, err); o != kv.None {
		t.Errorf("set without a connection: outcome %v", o)
	}
	if d := time.Since(began); d > 40*time.Second {
		t.Errorf("seven requests of 600 ms took %v", d)
	}
	ctx, cancel := context.WithTimeout(bg, 100*time.Millisecond)
	defer cancel()
	eventually(t, "not ready", func() bool { return errors.Is(s.Ready(ctx), kv.ErrUnavailable) })
	proxy.Flow()
	eventually(t, "ready", func() bool { return s.Ready(bg) == nil })
	eventually(t, "writes", func() bool {
		_, err := s.Set(bg, []byte("k"), []byte("newest"), kv.Options{})
		return err == nil
	})
}

// TestSlowDatabase: with 30 ms on the wire and few connections, requests beyond the capacity are
// refused as an overload, with a time to come back.
func TestSlowDatabase(t *testing.T) {
	s, proxy := slowStore(t)
	// All connections are made before the wire becomes slow. A request that gets none while one is
	// being made has not met an overload.
	var held []*pgxpool.Conn
	for range 4 {
		conn, err := s.pool.Acquire(bg)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	for _, conn := range held {
		conn.Release()
	}
	proxy.Delay(30 * time.Millisecond)
	var succeeded, overloaded atomic.Int64
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			_, err := s.Set(bg, []byte(fmt.Sprint(i)), []byte("v"), kv.Options{Deadline: time.Now().Add(600 * time.Millisecond)})
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
	if st := s.Stats(); st.Limit != 4 || st.InUse+st.Idle > 4 || st.Opened == 0 || st.Failed == 0 || st.Waited <= 0 || st.Waiting != 0 {
		t.Fatalf("%+v", st)
	}
}

// TestReadOnlyServer: the store leaves a primary that becomes read-only, and says why it is not
// ready.
func TestReadOnlyServer(t *testing.T) {
	db := server.Database(t)
	s := openOn(t, server.URL(db))
	if _, err := s.Set(bg, []byte("k"), []byte("v"), kv.Options{}); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, "postgres", fmt.Sprintf(`ALTER DATABASE %s SET default_transaction_read_only = on`, db))
	s.pool.Reset()
	_, err := s.Set(bg, []byte("k"), []byte("w"), kv.Options{})
	if outcomeOf(t, err) != kv.None || !errors.Is(err, errReadOnly) {
		t.Errorf("set: %v", err)
	}
	eventually(t, "not ready", func() bool {
		err := s.Ready(bg)
		return err != nil && strings.Contains(err.Error(), "read-only")
	})
	server.Exec(t, "postgres", fmt.Sprintf(`ALTER DATABASE %s RESET default_transaction_read_only`, db))
	eventually(t, "ready", func() bool { return s.Ready(bg) == nil })
}

// TestReadOnlyUnderway: connections that are open when the server turns read-only are replaced.
func TestReadOnlyUnderway(t *testing.T) {
	s := openOn(t, server.URL(server.Database(t))+"&pool_max_conns=1")
	if _, err := s.pool.Exec(bg, `SET default_transaction_read_only = on`); err != nil {
		t.Fatal(err)
	}
	_, err := s.Set(bg, []byte("k"), []byte("v"), kv.Options{})
	if outcomeOf(t, err) != kv.None || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("set: %v", err)
	}
	eventually(t, "writes", func() bool {
		_, err := s.Set(bg, []byte("k"), []byte("v"), kv.Options{})
		return err == nil
	})
}

// TestMesh: there is nothing to join or leave, and the answer says so.
func TestMesh(t *testing.T) {
	s := openFresh(t)
	if err := s.Join(bg, "127.0.0.1:1"); !errors.Is(err, kv.ErrNotMesh) {
		t.Errorf("join: %v", err)
	}
	if _, err := s.Leave(bg, "", true); !errors.Is(err, kv.ErrNotMesh) {
		t.Errorf("leave: %v", err)
	}
	if err := s.Clear(bg, kv.Options{}); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(); st.Mode != "postgresql" || st.State != "active" || st.Self != "test" || st.Generation != 2 {
		t.Errorf("status: %+v", st)
	}
}

//go:build postgres

package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"viakv/api/kv"
	"viakv/node/database/dbtest"
	"viakv/node/database/postgres/pgtest"
	"viakv/node/database/stateless"
)

// TestServerDiesAndComesBack: under load the server is killed and started again.
func TestServerDiesAndComesBack(t *testing.T) {
	own, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	s := openOn(t, own.URL("postgres"))
	if err := dbtest.OutlivesServer(t, s, 500, own.Kill, own.Restart); strings.Contains(err.Error(), "s3cr") {
		t.Errorf("the error shows the password: %v", err)
	}
}

// TestScanOutlivesConnections: a scan goes on over a connection that breaks between two pages.
func TestScanOutlivesConnections(t *testing.T) {
	s, proxy := proxied(t)
	fillRows(t, s, 3*stateless.FullPage)
	sc, err := s.Scan(bg, kv.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	if n := drain(t, sc, proxy.Cut); n != 3*stateless.FullPage {
		t.Fatalf("%d rows, want %d", n, 3*stateless.FullPage)
	}
}

// proxied returns a store with four connections through a proxy, and the proxy.
func proxied(t *testing.T) (*Store, *dbtest.Proxy) {
	t.Helper()
	proxy := dbtest.NewProxy(t, fmt.Sprintf("127.0.0.1:%d", server.Port))
	return openOn(t, proxy.Through(server.URL(server.Database(t)))+"&pool_max_conns=4"), proxy
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
		if dbtest.OutcomeOf(t, err) == kv.None {
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

func TestBlackHole(t *testing.T) {
	s, proxy := proxied(t)
	dbtest.BlackHole(t, s, proxy)
}

func TestSlowDatabase(t *testing.T) {
	s, proxy := proxied(t)
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
	dbtest.SlowDatabase(t, s, proxy, 4, func() stateless.Pool { return s.Stats().Pool })
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
	if dbtest.OutcomeOf(t, err) != kv.None || !errors.Is(err, errReadOnly) {
		t.Errorf("set: %v", err)
	}
	dbtest.Unready(t, s, "read-only")
	server.Exec(t, "postgres", fmt.Sprintf(`ALTER DATABASE %s RESET default_transaction_read_only`, db))
	dbtest.Ready(t, s)
}

// TestReadOnlyUnderway: connections that are open when the server turns read-only are replaced.
func TestReadOnlyUnderway(t *testing.T) {
	s := openOn(t, server.URL(server.Database(t))+"&pool_max_conns=1")
	if _, err := s.pool.Exec(bg, `SET default_transaction_read_only = on`); err != nil {
		t.Fatal(err)
	}
	_, err := s.Set(bg, []byte("k"), []byte("v"), kv.Options{})
	if dbtest.OutcomeOf(t, err) != kv.None || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("set: %v", err)
	}
	dbtest.Eventually(t, "writes", func() bool {
		_, err := s.Set(bg, []byte("k"), []byte("v"), kv.Options{})
		return err == nil
	})
}

// TestStatus: the status names the node and the database, and counts clears.
func TestStatus(t *testing.T) {
	s := openFresh(t)
	if err := s.Clear(bg, kv.Options{}); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(); st.Mode != "postgresql" || st.State != "active" || st.Self != "test" || st.Generation != 2 {
		t.Errorf("status: %+v", st)
	}
}

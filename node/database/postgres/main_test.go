//go:build postgres

package postgres

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/node/database/postgres/pgtest"
)

var bg = context.Background()

// server is the server that most tests share. Each test has a database of its own there.
var server *pgtest.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = pgtest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) // a missing server is a failure, not a reason to skip
	}
	goleak.VerifyTestMain(withServer{m})
}

// withServer runs the tests, and then stops the server.
type withServer struct{ *testing.M }

func (m withServer) Run() int {
	defer func() {
		if err := server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return m.M.Run()
}

// openOn opens a store on a database until the test ends.
func openOn(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(bg, Config{URL: url, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// openFresh opens a store on a database of its own.
func openFresh(t testing.TB) *Store {
	t.Helper()
	return openOn(t, server.URL(server.Database(t)))
}

func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store { return openFresh(t) })
}

// TestConformanceTwoNodes: two nodes on one database behave as one store.
func TestConformanceTwoNodes(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store {
		url := server.URL(server.Database(t))
		return kvtest.Balanced(openOn(t, url), openOn(t, url))
	})
}

// TestConformanceTextProtocol: behind a pooler that keeps no prepared statements, results come as
// text.
func TestConformanceTextProtocol(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store {
		return openOn(t, server.URL(server.Database(t))+"&default_query_exec_mode=simple_protocol")
	})
}

package mongotest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/node/database/mongodb"
)

var bg = context.Background()

// server is the server that most tests share. Each test has a database of its own there.
var server *Server

func TestMain(m *testing.M) {
	var err error
	if server, err = Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func openOn(t testing.TB, url string) *mongodb.Store {
	t.Helper()
	s, err := mongodb.Open(bg, mongodb.Config{URL: url, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store { return racing{openOn(t, server.URL(t))} })
}

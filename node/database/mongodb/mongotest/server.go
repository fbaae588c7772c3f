package mongotest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"

	"viakv/node/database/dbtest"
)

// Server is a FerretDB in this process.
type Server struct {
	dir    string
	port   int
	cancel context.CancelFunc
	ended  chan struct{}
}

// Start starts an empty server.
func Start() (*Server, error) {
	// SQLite waits for the disk at every write. In memory the tests take a minute instead of ten.
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "viakv-mongo-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	return s, s.Restart()
}

// Restart starts the server on its data, at the port that it had, if any.
func (s *Server) Restart() error {
	if s.port == 0 {
		var err error
		if s.port, err = dbtest.FreePort(); err != nil {
			return err
		}
	}
	f, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: s.Address()},
		Logger:    slog.New(slog.DiscardHandler),
		Handler:   "sqlite",
		SQLiteURL: "file:" + s.dir + "/",
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.ended = cancel, make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		_ = f.Run(ctx) // it returns when the context ends
	}(s.ended)
	for until := time.Now().Add(30 * time.Second); ; {
		c, err := net.DialTimeout("tcp", s.Address(), time.Second)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(until) {
			return fmt.Errorf("FerretDB does not answer: %w", err)
		}
		time.Sleep(5 * time.Millisecond) // between polls
	}
}

// Stop ends the server and keeps its data.
func (s *Server) Stop() {
	s.cancel()
	<-s.ended
}

// Close ends the server and removes its data.
func (s *Server) Close() error {
	s.Stop()
	return os.RemoveAll(s.dir)
}

// Address returns the address at which the server listens.
func (s *Server) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

var databases atomic.Int64

// URL returns the URL of a new database, on this server or on the one that VIAKV_MONGODB_URL names.
func (s *Server) URL(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("t%d_%d", os.Getpid(), databases.Add(1))
	other := os.Getenv("VIAKV_MONGODB_URL")
	if other == "" {
		return "mongodb://" + s.Address() + "/" + name
	}
	u, err := url.Parse(other)
	if err != nil || strings.Trim(u.Path, "/") != "" {
		t.Fatalf("VIAKV_MONGODB_URL: want mongodb://user:password@host:port")
	}
	u.Path = "/" + name
	return u.String()
}

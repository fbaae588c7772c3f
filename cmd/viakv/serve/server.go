// Package serve puts one node together as viakv serve runs it: configuration, log, listeners,
// store, the HTTP API over the store, and metrics.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"viakv/api"
	"viakv/api/console"
	"viakv/api/discovery"
	"viakv/api/kv"
	"viakv/api/listen"
	"viakv/node"
	"viakv/node/transport/tcp"
)

// Release is the version of the program.
const Release = "0.1.0"

// Server is one node with its HTTP API.
type Server struct {
	cfg   *Config
	log   *zap.Logger
	http  net.Listener
	admin net.Listener // nil: none
	store backend
	api   *api.Server

	peer  *listen.Listener // nil on a node with a database, which has no peers
	peers *tcp.Transport   // likewise
}

// shutdownTime bounds the wait for requests and streams in flight after the drain.
const shutdownTime = 10 * time.Second

// New listens and puts the server together. Nothing is served before [Server.Run]. It waits for a
// database that is still starting, until ctx ends.
func New(ctx context.Context, c *Config, log *zap.Logger) (s *Server, err error) {
	s = &Server{cfg: c, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.http, err = listenFor("http", c.http); err != nil {
		return s, err
	}
	if c.admin != "" {
		if s.admin, err = listenFor("admin", c.admin); err != nil {
			return s, err
		}
	}
	if s.store, err = s.newBackend(ctx); err != nil {
		return s, err
	}
	// Register the metrics that every node has, then those of the kind of store.
	registry := newRegistry(c.Commit)
	if err = registry.Register(newClusterMetrics(s.store.Status, s.store.Events().Counts)); err != nil {
		return s, err
	}
	own := []prometheus.Collector{newLostLogLines(c.lostLogLines)}
	switch b := s.store.(type) {
	case *node.Node:
		own = append(own, newNodeMetrics(b.Stats), newAcceptFailures(s.peer.Failures), newPeerPanics(s.peers.Panics))
	case database:
		own = append(own, b.metrics...)
	}
	for _, c := range own {
		if err = registry.Register(c); err != nil {
			return s, err
		}
	}
	inspector, _ := s.store.(kv.Inspector) // a database has none
	s.api, err = api.New(api.Config{
		Name: c.name, Version: Release, Store: s.store, Cluster: s.store, Console: console.New(inspector).Handle,
		Discovery: discovery.New(discovery.Config{Status: s.store.Status, Ready: s.ready}).Handle, Impaired: s.impaired,
		Logger: s.log, Registry: registry, Timeout: c.timeout, Origins: c.origins, Hosts: c.hosts, TokenFile: c.tokens,
		MaxConnections: c.maxConnections, ConnectionsBoundBy: c.connectionsBoundBy, MaxAdminConnections: c.maxAdminConnections,
		MaxConnectionsPerIP: c.maxConnectionsPerIP, MaxInFlight: c.maxInFlight, MaxScans: c.maxScans, MaxLoads: c.maxLoads,
		TLS: api.TLSConfig{CertFile: c.tlsCert, KeyFile: c.tlsKey, ClientCAFile: c.tlsCA},
	})
	return s, err
}

// impaired returns why the node cannot do its work although its store could.
func (s *Server) impaired() error {
	if s.peer == nil {
		return nil
	}
	if err := s.peer.Trouble(); err != nil {
		return fmt.Errorf("other members cannot connect: %w", err)
	}
	return nil
}

// ready returns nil when the node is ready as /readyz says it. A proxy that asks for members uses
// it. It is not called before s.api is set.
func (s *Server) ready(ctx context.Context) error { return s.api.Ready(ctx) }

// close closes what New has opened.
func (s *Server) close() (err error) {
	for _, l := range []net.Listener{s.http, s.admin} {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	return err
}

func listenFor(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for --%s: %w; choose another address, or stop what uses it", flag, err)
	}
	return l, nil
}

// Addr returns where the server listens for HTTP.
func (s *Server) Addr() net.Addr { return s.http.Addr() }

// Reload reads tokens and certificates again.
func (s *Server) Reload() { s.api.Reload() }

// Run serves until ctx ends, then drains. When a part of the server ends by itself, Run stops the
// other parts and returns the error.
//
// The order of the stop: first readiness ends, so that load balancers look elsewhere while
// everything is still served. Then no new connections are accepted, and the requests in flight are
// finished. The store stops last, when nothing uses it any more.
func (s *Server) Run(ctx context.Context) error {
	storeCtx, stopStore := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStore()
	parts := []func() error{
		func() error { return s.store.Run(storeCtx) },
		func() error { return s.api.Serve(s.http) },
	}
	if s.admin != nil {
		parts = append(parts, func() error { return s.api.ServeAdmin(s.admin) })
	}
	record, stopRecord := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRecord()
	recorded := make(chan struct{})
	go func() {
		s.api.Record(record)
		close(recorded)
	}()
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() { ended <- part() }()
	}
	s.log.Info("serving", zap.Stringer("http", s.http.Addr()), zap.String("store", s.storeName()))

	var errs []error
	select {
	case err := <-ended:
		errs = append(errs, err)
	case <-ctx.Done():
		if n, ok := s.store.(*node.Node); ok {
			n.Drain()
		}
		s.api.Drain()
		timer := time.NewTimer(s.cfg.drain)
		defer timer.Stop()
		select {
		case <-timer.C:
		case err := <-ended:
			errs = append(errs, err)
		}
	}
	stopRecord()
	<-recorded
	down, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := s.api.Shutdown(down); err != nil {
		s.log.Warn("requests in flight were cut off", zap.Error(err))
	}
	stopStore()
	for len(errs) < len(parts) {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"viakv/api"
	"viakv/api/kv"
	"viakv/node"
	"viakv/node/transport"
	"viakv/node/transport/tcp"
)

// server is one node with its HTTP API: the wiring that the binary and the end-to-end tests share.
type server struct {
	cfg   *config
	log   *zap.Logger
	http  net.Listener
	admin net.Listener // nil: none
	store backend
	api   *api.Server
}

// backend is what answers the API: a node of the mesh, or a database.
type backend interface {
	kv.Store
	kv.Cluster
	// Run works until ctx ends, and returns when everything that it started has stopped.
	Run(ctx context.Context) error
}

// shutdownTime bounds the wait for requests and streams in flight after the drain.
const shutdownTime = 10 * time.Second

// newServer listens and wires; nothing is served before run.
func newServer(c *config, log *zap.Logger) (s *server, err error) {
	s = &server{cfg: c, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.http, err = listen("http", c.http); err != nil {
		return s, err
	}
	if c.admin != "" {
		if s.admin, err = listen("admin", c.admin); err != nil {
			return s, err
		}
	}
	registry := prometheus.NewRegistry()
	if s.store, err = s.newBackend(registry); err != nil {
		return s, err
	}
	s.api, err = api.New(api.Config{
		Name: c.name, Version: release, Store: s.store, Cluster: s.store,
		Logger: s.log, Registry: registry, Timeout: c.timeout, Origins: c.origins, TokenFile: c.tokens,
		TLS: api.TLSConfig{CertFile: c.tlsCert, KeyFile: c.tlsKey, ClientCAFile: c.tlsCA},
	})
	return s, err
}

// close gives up what newServer has opened.
func (s *server) close() (err error) {
	for _, l := range []net.Listener{s.http, s.admin} {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	return err
}

func listen(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for --%s: %w; choose another address, or stop what uses it", flag, err)
	}
	return l, nil
}

// newNode makes a node of the mesh.
func (s *server) newNode() (backend, error) {
	c := s.cfg
	peer, err := listen("peer", c.peer)
	if err != nil {
		return nil, err
	}
	n, err := s.newNodeAt(peer)
	if err != nil {
		return nil, errors.Join(err, peer.Close())
	}
	return n, nil
}

func (s *server) newNodeAt(peer net.Listener) (backend, error) {
	c := s.cfg
	seeds, err := addressList("seeds", c.seeds)
	if err != nil {
		return nil, err
	}
	via, err := viaTable(c.via)
	if err != nil {
		return nil, err
	}
	peerAddress, err := advertised(c.advertisePeer, peer.Addr())
	if err != nil {
		return nil, err
	}
	httpAddress, err := advertised(c.advertiseHTTP, s.http.Addr())
	if err != nil {
		return nil, err
	}
	var secure func() (*tls.Config, error)
	if c.peerCert != "" {
		if secure, err = tcp.Credentials(c.peerCert, c.peerKey, c.peerCA); err != nil {
			return nil, err
		}
	}
	return node.New(node.Config{
		Name: c.name, HTTP: httpAddress, Peer: transport.Address(peerAddress), Seeds: seeds,
		ReadQuorum: kv.Quorum(c.readQuorum), WriteQuorum: kv.Quorum(c.writeQuorum), AllowWeak: c.allowWeak,
		MaxBytes: int64(c.maxMemory), Timeout: c.timeout, HedgeAfter: c.hedge, Logger: s.log,
		NewTransport: func(h transport.Handler) (transport.Transport, error) {
			return tcp.New(tcp.Config{Listener: peer, Handler: h, Name: c.name, TLS: secure, Via: via, Logger: s.log})
		},
	})
}

// serveAll serves the API, and health and metrics on their own listener where there is one, until both have ended.
func (s *server) serveAll() error {
	if s.admin == nil {
		return s.api.Serve(s.http)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.api.ServeAdmin(s.admin) }()
	return errors.Join(s.api.Serve(s.http), <-ended)
}

// run serves until ctx ends, then drains.
//
// The stop order: readiness first, so that load balancers look elsewhere while everything is still served; then no new connections, and
// the requests in flight are finished; then the store, which nobody uses any more.
func (s *server) run(ctx context.Context) error {
	storeCtx, stopStore := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStore()
	stored, served := make(chan error, 1), make(chan error, 1)
	go func() { stored <- s.store.Run(storeCtx) }()
	go func() { served <- s.serveAll() }()
	s.log.Info("serving", zap.Stringer("http", s.http.Addr()), zap.String("store", s.storeName()))

	var err error
	select {
	case err = <-stored:
		stored <- nil
	case err = <-served:
		served <- nil
	case <-ctx.Done():
		s.api.Drain()
		timer := time.NewTimer(s.cfg.drain)
		defer timer.Stop()
		select {
		case <-timer.C:
		case err = <-stored:
			stored <- nil
		}
	}
	down, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if e := s.api.Shutdown(down); e != nil {
		s.log.Warn("requests in flight were cut off", zap.Error(e))
	}
	stopStore()
	return errors.Join(err, <-served, <-stored)
}

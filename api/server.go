package api

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Server serves a store over HTTP. Its methods are safe for concurrent use.
type Server struct {
	config  Config
	log     *zap.Logger
	metrics *metrics
	public  *fasthttp.Server
	admin   *fasthttp.Server
	gate    *gate // counts and closes the public connections

	adminGate *gate
	tokens    *watched[tokens] // nil: no access control
	tls       *tls.Config      // of the public listeners; nil: plain

	// base is the context of every call to the store. It ends when Shutdown's time is up.
	base   context.Context
	cancel context.CancelFunc

	idPrefix     []byte
	requests     atomic.Uint64 // numbered by request id
	inFlight     atomic.Int64
	scans        chan struct{} // holds a token for each running scan
	streams      sync.WaitGroup
	draining     atomic.Bool
	exposed      atomic.Bool // a public listener is not on loopback
	adminExposed atomic.Bool // likewise of the admin listeners
	exchanges    sync.Pool
}

// New checks the configuration and builds a server. It starts nothing.
func New(config Config) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	s := &Server{
		config: config,
		// The log of a failing store must not become a load of its own: of the same message 20 a second are kept, then every 100th.
		log: config.Logger.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
			return zapcore.NewSamplerWithOptions(c, time.Second, 20, 100)
		})),
		scans: make(chan struct{}, config.MaxScans),
	}
	slack := deadlineSlack(min(config.ReadTimeout, config.WriteTimeout, config.IdleTimeout))
	s.gate = newGate(config.MaxConnections, config.MaxConnectionsPerIP, slack)
	s.adminGate = newGate(maxAdminConnections, 0, slack)
	s.exchanges.New = func() any { return new(exchange) }
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("api: no randomness for request ids: %w", err)
	}
	s.idPrefix = hex.AppendEncode(nil, id[:])
	m, err := newMetrics(config.Registry, s)
	if err != nil {
		return nil, err
	}
	s.metrics = m
	if config.TokenFile != "" {
		load := func() (*tokens, error) { return loadTokens(config.TokenFile) }
		if s.tokens, err = watch("token file", s.log, load, config.TokenFile); err != nil {
			return nil, err
		}
	}
	if config.TLS.enabled() {
		if s.tls, err = watchTLS(config.TLS, s.log); err != nil {
			return nil, err
		}
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	table := endpoints
	if config.Console != nil {
		table = append(slices.Clone(endpoints), s.console()...)
	}
	if config.Discovery != nil {
		table = append(slices.Clone(table), s.discovery())
	}
	s.public = s.newServer(s.routes(table), config.MaxConnections)
	s.admin = s.newServer(s.routes(adminEndpoints), maxAdminConnections)
	return s, nil
}

// newServer sets up fasthttp. The number of connections is bounded by the gate, which answers those that it turns away; fasthttp's own
// bound lies above it.
func (s *Server) newServer(handler fasthttp.RequestHandler, connections int) *fasthttp.Server {
	return &fasthttp.Server{
		Name:                         "viakv",
		Handler:                      handler,
		ErrorHandler:                 s.malformed,
		Logger:                       fasthttpLogger{s.log},
		Concurrency:                  2*connections + 64,
		ReadBufferSize:               s.config.MaxHeaderBytes,
		MaxRequestBodySize:           s.config.MaxBodyBytes,
		ReadTimeout:                  s.config.ReadTimeout,
		WriteTimeout:                 s.config.WriteTimeout,
		IdleTimeout:                  s.config.IdleTimeout,
		HeaderReceived:               s.limits,
		DisablePreParseMultipartForm: true, // would write files of requests that we refuse
		SecureErrorLogMessage:        true, // requests carry keys and values (A7)
		CloseOnShutdown:              true,
		NoDefaultContentType:         true,
	}
}

// Serve answers the public API on a listener, over TLS if there is a certificate, until Shutdown, which makes it return nil. It closes the listener, and may run
// on several at once.
func (s *Server) Serve(l net.Listener) error {
	if !loopback(l.Addr()) {
		s.exposed.Store(true)
	}
	s.announce(l.Addr())
	l = &gatedListener{Listener: l, gate: s.gate}
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	return s.serve(s.public, l)
}

func (s *Server) serve(server *fasthttp.Server, l net.Listener) error {
	if s.base.Err() != nil {
		return errors.Join(errors.New("api: the server was shut down"), l.Close())
	}
	if err := server.Serve(l); err != nil {
		return fmt.Errorf("api: serving %s: %w", l.Addr(), err)
	}
	return nil
}

// Drain makes /readyz fail from now on, so that load balancers send no more. Everything is still served.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown closes the listeners and the idle connections and waits for the requests and streams in flight. When ctx ends first, it cancels
// them, closes their connections, waits until they are gone, which takes no longer than the store takes to notice, and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	defer s.cancel()
	err := s.public.ShutdownWithContext(ctx)
	if err == nil {
		err = s.finishStreams(ctx)
	}
	if err != nil {
		s.cancel()
		s.gate.closeAll()
	}
	s.gate.wait()
	s.streams.Wait()
	// Probes and metrics answer to the end.
	if stopped := s.admin.ShutdownWithContext(ctx); stopped != nil {
		err = errors.Join(err, stopped)
		s.adminGate.closeAll()
	}
	s.adminGate.wait()
	return err
}

// finishStreams waits for the streams, which fasthttp knows nothing of.
func (s *Server) finishStreams(ctx context.Context) error {
	finished := make(chan struct{})
	go func() {
		s.streams.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fasthttpLogger passes fasthttp's own messages on, without what it puts into them: that may be a piece of a request, and so a key, a value
// or a token (A7). They concern single connections, and what ends a listener is returned by Serve as well.
type fasthttpLogger struct{ log *zap.Logger }

func (l fasthttpLogger) Printf(format string, _ ...any) {
	l.log.Debug("connection", zap.String("message", format))
}

package api

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sync/semaphore"

	"viakv/api/history"
	"viakv/api/listen"
	"viakv/api/reload"
)

// Server serves a store over HTTP. Its methods are safe for concurrent use.
type Server struct {
	config  Config
	log     *zap.Logger
	metrics *metrics
	history history.Recorder
	public  *fasthttp.Server
	admin   *fasthttp.Server
	gate    *gate // counts and closes the public connections

	adminGate *gate
	tokens    *reload.Value[tokens] // nil: no access control
	tls       *tls.Config           // of the public listeners; nil: plain
	reloads   []func()              // load the files of tokens and tls

	// base is the context of every call to the store. It ends when Shutdown's time is up.
	base   context.Context
	cancel context.CancelFunc

	idPrefix     []byte
	requests     atomic.Uint64 // counted for request ids
	inFlight     atomic.Int64
	scans        chan struct{}       // holds a token for each running scan
	loads        chan struct{}       // likewise of loads
	keys         *semaphore.Weighted // of the keys that requests look up at once
	streams      sync.WaitGroup
	draining     atomic.Bool
	exposed      atomic.Bool // a public listener is not on loopback
	adminExposed atomic.Bool // likewise of the admin listeners
	exchanges    sync.Pool
}

// New checks the configuration and builds a server. It starts nothing.
func New(config Config) (*Server, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	s := &Server{
		config: config,
		// The log of a failing store must not become a load of its own. Of the same message 20 a
		// second are kept, then every 100th.
		log: config.Logger.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
			return zapcore.NewSamplerWithOptions(c, time.Second, 20, 100)
		})),
		scans: make(chan struct{}, config.MaxScans),
		loads: make(chan struct{}, config.MaxLoads),
		keys:  semaphore.NewWeighted(maxKeysAtOnce),
	}
	slack := deadlineSlack(min(config.ReadTimeout, config.WriteTimeout, config.IdleTimeout))
	s.gate = newGate(config.MaxConnections, config.MaxConnectionsPerIP, slack, config.ConnectionsBoundBy, s.log)
	s.adminGate = newGate(config.MaxAdminConnections, 0, slack, "", s.log)
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
		if s.tokens, err = reload.New("token file", s.log, load, config.TokenFile); err != nil {
			return nil, fmt.Errorf("api: %w", err)
		}
		s.reloads = append(s.reloads, s.tokens.Reload)
	}
	if config.TLS.enabled() {
		var again func()
		if s.tls, again, err = watchTLS(config.TLS, s.log); err != nil {
			return nil, err
		}
		s.reloads = append(s.reloads, again)
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
	s.admin = s.newServer(s.routes(adminEndpoints), config.MaxAdminConnections)
	return s, nil
}

// newServer returns a fasthttp server for a handler. The gate bounds the number of connections and
// answers those that it turns away. fasthttp's own bound lies above it.
func (s *Server) newServer(handler fasthttp.RequestHandler, connections int) *fasthttp.Server {
	return &fasthttp.Server{
		Name:                         "viakv",
		Handler:                      handler,
		ErrorHandler:                 s.malformed,
		Logger:                       fasthttpLogger{s.log},
		Concurrency:                  2*connections + 64,
		ReadBufferSize:               maxHeaderBytes,
		MaxRequestBodySize:           maxBodyBytes,
		ReadTimeout:                  s.config.ReadTimeout,
		WriteTimeout:                 s.config.WriteTimeout,
		IdleTimeout:                  s.config.IdleTimeout,
		HeaderReceived:               s.headerReceived,
		ExpectHandler:                s.expect,
		StreamRequestBody:            true,
		ConnState:                    state,
		DisablePreParseMultipartForm: true, // parsing would write files of requests that are refused
		SecureErrorLogMessage:        true, // requests carry keys and values (A7)
		NoDefaultContentType:         true,
	}
}

// Serve answers the public API on a listener, over TLS if there is a certificate, until Shutdown
// makes it return nil. It closes the listener, and may run on several at once. When no connection
// can be accepted, it waits until one can (package listen).
func (s *Server) Serve(l net.Listener) error {
	if !loopback(l.Addr()) {
		s.exposed.Store(true)
	}
	s.announce(l.Addr())
	return s.serve(s.public, s.gate, listen.Wrap(l, "http", s.config.Logger), s.tls)
}

// serve accepts connections until the listener is closed. It gives fasthttp one connection after
// the other and does not use fasthttp's own loop, for three reasons. That loop ends at the first
// error, its Shutdown closes connections that have a request, and a panic outside of a handler
// would end the process.
func (s *Server) serve(server *fasthttp.Server, g *gate, l *listen.Listener, secure *tls.Config) error {
	if !g.listen(l) {
		return errors.Join(errors.New("api: the server was shut down"), l.Close())
	}
	for {
		nc, err := l.Accept()
		if err != nil {
			return nil // closed: Accept has no other error
		}
		c := &conn{Conn: nc, gate: g, ip: addressOf(nc), between: true}
		if answer := g.enter(c); answer != nil {
			c.turnAway(answer)
			continue
		}
		go s.serveConn(server, c, secure)
	}
}

// serveConn answers the requests of one connection. A fault of the connection, or a panic, ends it
// and nothing else.
func (s *Server) serveConn(server *fasthttp.Server, c *conn, secure *tls.Config) {
	defer c.gate.serving.Done()
	defer func() {
		if cause := recover(); cause != nil {
			s.metrics.panics.Inc()
			s.log.Error("panic in a connection", zap.Any("cause", cause), zap.ByteString("stack", debug.Stack()))
			_ = c.Close()
		}
	}()
	var nc net.Conn = c
	if secure != nil {
		nc = &secureConn{tls.Server(c, secure), c}
	}
	if err := server.ServeConn(nc); err != nil {
		// The error may quote what came over the connection (A7).
		s.log.Debug("a connection was ended by an error", zap.Stringer("client", nc.RemoteAddr()))
	}
}

// Drain makes /readyz fail from now on, so that load balancers send no more. It also lets every
// answer end its connection, so that clients that keep one go elsewhere. Everything is still
// served.
func (s *Server) Drain() { s.draining.Store(true) }

// Reload loads the tokens and the certificate from their files now. Without it a change is loaded
// within a second, at the next request or connection. When a file cannot be loaded, its former
// content stays in force and the log has the reason.
func (s *Server) Reload() {
	for _, load := range s.reloads {
		load()
	}
}

// Shutdown ends the service. A request of which something was read before is answered. One that
// comes later is not read, so that nothing is done without an answer.
//
// When ctx ends first, Shutdown cancels what is under way, lets it answer for a moment, and closes
// the connections that are left. It then waits until their requests are gone, which takes as long
// as the store takes to notice, and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	defer s.cancel()
	err := s.finish(ctx, s.gate)
	s.streams.Wait()
	s.cancel() // ends profiles
	// The admin listeners come last: probes and metrics are answered to the end.
	return errors.Join(err, s.finish(ctx, s.adminGate))
}

// answerTime is how long requests that were cancelled may take to answer.
const answerTime = time.Second

func (s *Server) finish(ctx context.Context, g *gate) error {
	err := g.close()
	if cut := g.wait(ctx); cut != nil {
		err = errors.Join(err, cut)
		s.cancel()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
		if g.wait(last) != nil {
			g.closeAll()
		}
		cancel()
		_ = g.wait(context.WithoutCancel(ctx))
	}
	g.serving.Wait()
	return err
}

// fasthttpLogger passes on fasthttp's own messages without their arguments. An argument may be a
// piece of a request, and so a key, a value or a token (A7). The messages concern single
// connections.
type fasthttpLogger struct{ log *zap.Logger }

func (l fasthttpLogger) Printf(format string, _ ...any) {
	l.log.Debug("connection", zap.String("message", format))
}

// announce logs in one line what is open, when a public listener can be reached from other
// machines.
func (s *Server) announce(a net.Addr) {
	switch {
	case loopback(a):
	case s.tokens == nil:
		s.config.Logger.Warn("open without tokens: anyone who reaches this address may read, write, remove, clear, join and leave; give a token file to close it",
			zap.Stringer("address", a))
	case s.tls == nil:
		s.config.Logger.Warn("tokens without TLS: anyone on the way can read tokens, keys and values; give a certificate, or let a proxy end TLS",
			zap.Stringer("address", a))
	}
}

func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

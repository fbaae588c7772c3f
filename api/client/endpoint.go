package client

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// endpoint is one address and the connections kept to it.
type endpoint struct {
	config      Config
	name        string // as configured
	address     string
	tls         *tls.Config // nil: plain
	headers     string      // of every GET, up to the end of the head
	postHeaders string      // the same of a POST without a body

	mu     sync.Mutex
	idle   []*wire // last used last
	closed bool
}

func newEndpoint(c Config, name string) (*endpoint, error) {
	address, secure, err := parseEndpoint(name)
	if err != nil {
		return nil, err
	}
	e := &endpoint{config: c, name: name, address: address}
	if secure {
		if e.tls = c.TLS.Clone(); e.tls == nil {
			e.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if e.tls.ServerName == "" {
			host, _, _ := net.SplitHostPort(address)
			e.tls.ServerName = host
		}
	}
	common := "Host: " + address + "\r\n"
	if c.Token != "" {
		common += "Authorization: Bearer " + c.Token + "\r\n"
	}
	e.headers = common + "\r\n"
	e.postHeaders = common + "Content-Length: 0\r\n\r\n"
	return e, nil
}

// acquire returns a kept connection that is still open, or a new one. fresh is true for a new one.
func (e *endpoint) acquire(ctx context.Context) (w *wire, fresh bool, err error) {
	for {
		w := e.pop()
		if w == nil {
			w, err := e.dial(ctx)
			return w, true, err
		}
		if time.Since(w.lastUse) < e.config.IdleTimeout && alive(w.conn) {
			return w, false, nil
		}
		_ = w.conn.Close()
	}
}

func (e *endpoint) pop() *wire {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.idle)
	if n == 0 {
		return nil
	}
	w := e.idle[n-1]
	e.idle = e.idle[:n-1]
	return w
}

// release keeps a connection for later whose answer was read to its end. It closes the connection
// if that was cut meanwhile, so that it is not intact, or if the answer says that it ends.
func (e *endpoint) release(w *wire, intact bool) {
	if !intact || w.response.ConnectionClose() || !e.keep(w) {
		_ = w.conn.Close()
	}
}

// keep returns false when the client was closed or enough connections are kept.
func (e *endpoint) keep(w *wire) bool {
	w.lastUse = time.Now()
	// A deadline that has passed would make the connection look dead.
	_ = w.conn.SetDeadline(time.Time{})
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.idle) >= e.config.MaxIdle {
		return false
	}
	e.idle = append(e.idle, w)
	return true
}

func (e *endpoint) close() {
	e.mu.Lock()
	idle := e.idle
	e.idle, e.closed = nil, true
	e.mu.Unlock()
	for _, w := range idle {
		_ = w.conn.Close()
	}
}

package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"

	"viakv/node/transport"
)

// errCrowded reports a connection that gave way to newer ones before it had shown that it is a
// peer's.
var errCrowded = errors.New("tcp: too many connections that ask nothing")

// expect notes a connection that was accepted. Until its first request has come it may be
// anybody's, and it holds a descriptor that peers may need. So the number of such connections is
// bounded by MaxGreeting. Beyond it the oldest gives way, because a peer that connects has a
// request to send.
func (t *Transport) expect(conn net.Conn) {
	t.mu.Lock()
	t.greeting = append(t.greeting, conn)
	var oldest net.Conn
	if len(t.greeting) > t.cfg.MaxGreeting {
		oldest = t.greeting[0]
		t.greeting = slices.Delete(t.greeting, 0, 1)
	}
	t.mu.Unlock()
	if oldest != nil {
		t.complain(oldest, errCrowded)
		_ = oldest.Close()
	}
}

// receive finds out whether a peer has connected, and for which class. It returns the connection to
// use from then on.
func (t *Transport) receive(ctx context.Context, conn net.Conn) (net.Conn, transport.Class, error) {
	use := conn
	if t.cfg.TLS != nil {
		config, err := t.cfg.TLS()
		if err != nil {
			return nil, 0, err
		}
		secure := tls.Server(conn, config)
		ctx, cancel := context.WithTimeout(ctx, t.cfg.DialTimeout)
		defer cancel()
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, 0, err
		}
		use = secure
	}
	theirs, err := welcome(use, t.hello(), t.cfg.DialTimeout)
	if err == nil {
		t.heard(theirs.address)
	}
	return use, theirs.class, err
}

// hello returns what this node says first, for the first class.
func (t *Transport) hello() hello { return hello{name: t.cfg.Name, address: t.cfg.Address} }

// heard notes that a peer has just connected from an address, so it can be called there. A call no
// longer fails because the last attempt to connect did.
func (t *Transport) heard(from transport.Address) {
	clients := *t.clients.Load()
	for class := range transport.Classes {
		if c := clients[clientKey{from, transport.Class(class)}]; c != nil {
			c.retry()
		}
	}
}

// received ends the note of expect: the connection is a peer's, or has ended.
func (t *Transport) received(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.greeting, conn); i >= 0 {
		t.greeting = slices.Delete(t.greeting, i, i+1)
	}
}

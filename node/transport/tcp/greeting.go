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
	class, err := welcome(use, t.cfg.Name, t.cfg.DialTimeout)
	return use, class, err
}

// received ends the note of expect: the connection is a peer's, or has ended.
func (t *Transport) received(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.greeting, conn); i >= 0 {
		t.greeting = slices.Delete(t.greeting, i, i+1)
	}
}

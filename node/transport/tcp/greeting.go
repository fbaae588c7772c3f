package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"

	"viakv/node/transport"
)

// errCrowded: others have connected since, and this one has not shown that it is a peer.
var errCrowded = errors.New("tcp: too many connections that ask nothing")

// expect notes a connection that was accepted. Until its first request has come it may be anybody's,
// and holds a descriptor that peers may need. So there are only so many of them at a time: the
// oldest gives way, since a peer connects when it has something to ask.
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

// receive finds out whether it is a peer that has connected, and what for, and returns the
// connection to use from then on.
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

func (t *Transport) received(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.greeting, conn); i >= 0 {
		t.greeting = slices.Delete(t.greeting, i, i+1)
	}
}

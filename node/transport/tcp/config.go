package tcp

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"go.uber.org/zap"

	"viakv/node/transport"
)

// Config of a Transport.
type Config struct {
	// Listener accepts peers. The transport closes it, and waits out failures to accept (package
	// listen). Required.
	Listener net.Listener
	// Handler answers peers. Required.
	Handler transport.Handler
	// Name of this node, told to peers for their logs. Empty: no name.
	Name string
	// Address is where peers reach this node. They are told it, and then call this node as soon as
	// it is back. Empty: not told, and they may rest up to 750 ms after a failed attempt to
	// connect.
	Address transport.Address
	// TLS returns the configuration that secures all connections, in both directions. Nil: plain
	// TCP. See Credentials.
	TLS func() (*tls.Config, error)
	// Via gives another address to dial in place of an address: fault tests put a proxy between two
	// nodes. Nil: none.
	Via map[transport.Address]transport.Address
	// DialTimeout bounds connecting, and the exchange of hellos. Default 1 s.
	DialTimeout time.Duration
	// KeepAlive is how often a peer is asked for a sign of life. Default 500 ms.
	KeepAlive time.Duration
	// Patience is how long a peer may be silent before its connection is given up and all its calls
	// fail. A lower value finds black holes sooner; a higher one bears a starved machine. Default 2
	// s.
	Patience time.Duration
	// MaxQueue bounds what waits to be written to one peer, in bytes. Beyond it calls fail at once.
	// Default 8 MiB.
	MaxQueue int
	// MaxWaiting bounds the requests of one connection that are being answered outside of its
	// reader. Default 2048.
	MaxWaiting int
	// MaxGreeting bounds the connections that were accepted and have brought no request yet. Beyond
	// it the oldest is closed. Default 64.
	MaxGreeting int
	Logger      *zap.Logger // nil: no log
}

func (c Config) withDefaults() Config {
	c.DialTimeout = cmp.Or(c.DialTimeout, time.Second)
	c.KeepAlive = cmp.Or(c.KeepAlive, 500*time.Millisecond)
	c.Patience = cmp.Or(c.Patience, 2*time.Second)
	c.MaxQueue = cmp.Or(c.MaxQueue, 2*transport.MaxFrame)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, 2048)
	c.MaxGreeting = cmp.Or(c.MaxGreeting, 64)
	c.Logger = cmp.Or(c.Logger, zap.NewNop())
	return c
}

// validate reports everything that is wrong with the configuration.
func (c Config) validate() error {
	var errs []error
	if c.Listener == nil {
		errs = append(errs, errors.New("tcp: no listener"))
	}
	if c.Handler == nil {
		errs = append(errs, errors.New("tcp: no handler"))
	}
	if c.Patience < c.KeepAlive {
		errs = append(errs, errors.New("tcp: patience is shorter than the keep-alive"))
	}
	return errors.Join(errs...)
}

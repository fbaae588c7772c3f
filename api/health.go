package api

import (
	"context"
	"errors"

	"viakv/api/kv"
)

// live answers /livez: the process answers. It checks nothing else, because a restart would repair
// nothing else.
func live(x *exchange) error {
	x.ok()
	return nil
}

// ready answers /readyz: whether this node can serve and is not draining. A node that cannot accept
// connections says so on the connections that it has; balancers keep one for their probes.
func ready(x *exchange) error {
	s := x.server
	ctx, cancel := context.WithTimeout(s.base, s.config.Timeout)
	defer cancel()
	err := s.Ready(ctx)
	if err == nil {
		x.ok()
	}
	return err
}

// Ready returns nil when this node should get requests, and otherwise the reason why not.
func (s *Server) Ready(ctx context.Context) error {
	if s.draining.Load() {
		return &kv.Unavailable{Outcome: kv.None, Reason: "the node is shutting down"}
	}
	if err := s.impaired(); err != nil {
		return &kv.Unavailable{Outcome: kv.None, Reason: err.Error(), Err: err}
	}
	err := s.config.Store.Ready(ctx)
	if _, ok := errors.AsType[*kv.Unavailable](err); !ok && err != nil {
		return &kv.Unavailable{Outcome: kv.None, Reason: err.Error(), Err: err}
	}
	return err
}

// impaired returns why the server cannot do its work, and nil when it can.
func (s *Server) impaired() error {
	if err := s.gate.trouble(); err != nil || s.config.Impaired == nil {
		return err
	}
	return s.config.Impaired()
}

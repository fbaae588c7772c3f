package api

import (
	"context"
	"errors"

	"viakv/api/kv"
)

// live answers /livez: the process answers, and a restart would help nothing else.
func live(x *exchange) error {
	x.ok()
	return nil
}

// ready answers /readyz: this node can serve, and wants to.
func ready(x *exchange) error {
	s := x.server
	if s.draining.Load() {
		return &kv.Unavailable{Outcome: kv.None, Reason: "the node is shutting down"}
	}
	ctx, cancel := context.WithTimeout(s.base, s.config.Timeout)
	defer cancel()
	err := s.config.Store.Ready(ctx)
	if err == nil {
		x.ok()
		return nil
	}
	var unavailable *kv.Unavailable
	if !errors.As(err, &unavailable) {
		return &kv.Unavailable{Outcome: kv.None, Reason: err.Error(), Err: err}
	}
	return err
}

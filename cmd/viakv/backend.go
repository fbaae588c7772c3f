package main

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// newBackend makes what --store names.
func (s *server) newBackend(_ *prometheus.Registry) (backend, error) {
	scheme, _, _ := strings.Cut(s.cfg.store, "://")
	switch scheme {
	case "memory":
		return s.newNode()
	}
	return nil, usageError{fmt.Errorf("--store: want memory, postgres://... or mongodb://..., not a %q address", scheme)}
}

// storeName names the store without its address, which may hold a password.
func (s *server) storeName() string {
	scheme, _, _ := strings.Cut(s.cfg.store, "://")
	return scheme
}

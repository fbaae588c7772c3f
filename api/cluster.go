package api

import (
	"encoding/json"
	"fmt"

	"viakv/api/kv"
)

// cluster answers /cluster.
func cluster(x *exchange) error { return x.document(statusDocument(x.server.status())) }

// status of the mesh, or of a lone store.
func (s *Server) status() kv.Status {
	if s.config.Cluster != nil {
		return s.config.Cluster.Status()
	}
	name := s.config.Name
	return kv.Status{
		Mode: "lone", Self: name, State: "active", N: 1, R: 1, W: 1,
		Members: []kv.Member{{Name: name, State: "active", Reachable: true, Ownership: 1}},
	}
}

// document answers with a value's JSON, one field a line.
func (x *exchange) document(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("api: encoding the answer: %w", err)
	}
	x.json(append(b, '\n'))
	return nil
}

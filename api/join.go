package api

import (
	"context"

	"viakv/api/document"
	"viakv/api/kv"
)

// join answers /join: this node is a full member when it returns.
func join(x *exchange) error {
	s := x.server
	if !x.parameters.seen.has(parameterPeer) {
		return badParameter(parameterPeer, "missing: give the peer address (host:port) of a member of the mesh to join")
	}
	peer, err := x.peer()
	if err != nil {
		return err
	}
	if s.config.Cluster == nil {
		return kv.ErrNotMesh
	}
	ctx, cancel := context.WithTimeout(s.base, s.config.ControlTimeout)
	defer cancel()
	if err := s.config.Cluster.Join(ctx, peer); err != nil {
		return err
	}
	status := s.config.Cluster.Status()
	answer := document.Joined{Node: status.Self, Cluster: status.Cluster, Epoch: uint64(status.Epoch), Members: []string{}}
	for _, m := range status.Members {
		answer.Members = append(answer.Members, m.Name)
	}
	return x.document(answer)
}

package api

import (
	"context"

	"viakv/api/kv"
)

// leave answers /leave: this node, or the named one, is no member any more when it returns.
func leave(x *exchange) error {
	s := x.server
	node, err := x.short(parameterNode)
	if err != nil {
		return err
	}
	if node == "" && x.parameters.seen.has(parameterNode) {
		return badParameter(parameterNode, "empty: name the member to remove, or leave it out to remove the node that answers")
	}
	force, err := x.flag(parameterForce)
	if err != nil {
		return err
	}
	if s.config.Cluster == nil {
		return kv.ErrNotMesh
	}
	ctx, cancel := context.WithTimeout(s.base, s.config.ControlTimeout)
	defer cancel()
	left, err := s.config.Cluster.Leave(ctx, node, force)
	if err != nil {
		return err
	}
	return x.document(leftDocument(left))
}

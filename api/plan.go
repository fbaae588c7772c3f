package api

import (
	"viakv/api/kv"
	"viakv/api/plan"
)

// planChange answers /plan: what a join, or the leave of a member, would do to the quorums. It changes nothing.
func planChange(x *exchange) error {
	change, err := x.short(parameterChange)
	if err != nil {
		return err
	}
	node, err := x.short(parameterNode)
	if err != nil {
		return err
	}
	named := x.parameters.seen.has(parameterNode)
	status := statusDocument(x.server.status())
	switch {
	case change != "join" && change != "leave":
		return badParameter(parameterChange, `give "join", or "leave" with the member's name as node`)
	case change == "join" && named:
		return badParameter(parameterNode, "a join is planned for any node: leave this out")
	case change == "leave" && node == "":
		return badParameter(parameterNode, "name the member whose leave is planned")
	case status.Mode != "mesh":
		return kv.Detail(kv.ErrNotMesh, "any number of nodes may serve it (%s), and none joins or leaves", status.Mode)
	case change == "join":
		return x.document(plan.Join(status))
	}
	p, err := plan.Leave(status, node)
	if err != nil {
		return err
	}
	return x.document(p)
}

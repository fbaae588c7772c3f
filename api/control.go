package api

import (
	"context"

	"viakv/api/document"
	"viakv/api/health"
	"viakv/api/kv"
	"viakv/api/plan"
	"viakv/quorum/version"
)

// join answers /join. When it returns without an error, this node is a full member.
func join(x *exchange) error {
	s := x.server
	peer, err := x.peer()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, controlTimeout)
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

// leave answers /leave. When it returns without an error, this node, or the named one, is no longer
// a member.
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
	ctx, cancel := context.WithTimeout(s.base, controlTimeout)
	defer cancel()
	left, err := s.config.Cluster.Leave(ctx, node, force)
	if err != nil {
		return err
	}
	return x.document(leftDocument(left))
}

// setReads answers /reads. When it returns without an error, the mesh answers reads as it was told.
func setReads(x *exchange) error {
	s := x.server
	mode, err := x.short(parameterMode)
	if err != nil {
		return err
	}
	reads, known := kv.ParseReads(mode)
	if !known {
		return badParameter(parameterMode, `give "lease" or "quorum"`)
	}
	ctx, cancel := context.WithTimeout(s.base, controlTimeout)
	defer cancel()
	epoch, err := s.config.Cluster.SetReads(ctx, reads)
	if err != nil {
		return err
	}
	return x.document(document.Reads{Reads: string(reads), Epoch: uint64(epoch)})
}

// planChange answers /plan: what a join, or the leave of a member, would do to the quorums. It
// changes nothing.
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
	status := x.server.config.Cluster.Status()
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
		return x.document(plan.Join(&status))
	}
	p, err := plan.Leave(&status, node)
	if err != nil {
		return err
	}
	return x.document(p)
}

// cluster answers /cluster.
func cluster(x *exchange) error {
	n, err := x.count(parameterEvents, health.Kept)
	if err != nil {
		return err
	}
	out := statusDocument(x.server.config.Cluster.Status())
	out.Events = eventDocuments(x.server.config.Cluster.Events().Last(n))
	return x.document(out)
}

// lone is the cluster of a store that is no mesh. It is the node's name.
type lone string

// Events implements kv.Cluster. Nothing changes.
func (lone) Events() *health.Log { return new(health.Log) }

func (lone) Join(context.Context, string) error { return kv.ErrNotMesh }

func (lone) Leave(context.Context, string, bool) (kv.Left, error) { return kv.Left{}, kv.ErrNotMesh }

func (lone) SetReads(context.Context, kv.Reads) (version.Epoch, error) { return 0, kv.ErrNotMesh }

func (l lone) Status() kv.Status {
	name := string(l)
	facts := health.Facts{Self: name, N: 1, R: 1, W: 1, Leader: name, Members: []health.Member{{Name: name, State: health.Active, Reach: health.Answers}}}
	return kv.Status{
		Mode: "lone", Self: name, State: health.Active, N: 1, R: 1, W: 1, Health: health.Judge(&facts),
		Members: []kv.Member{{Name: name, State: health.Active, Reach: health.Answers, Ownership: 1}},
	}
}

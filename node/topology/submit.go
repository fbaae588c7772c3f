package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/node/transport"
	"viakv/node/wire"
)

// directory is the list of processes at which a request may find the leader.
type directory struct {
	cluster ClusterID
	members []Identity
	next    int
	// hint is the leader that the last answer named. Nil: none.
	hint *Identity
}

// newDirectory lists the given processes and then t's members.
func newDirectory(t *Topology, first ...Identity) *directory {
	d := &directory{cluster: t.Cluster, members: first}
	for i := range t.Slots {
		d.members = append(d.members, t.Slots[i].Identity)
	}
	return d
}

// pick returns the process to ask next: the one named as the leader, otherwise one after another.
func (d *directory) pick() Identity {
	if d.hint != nil {
		id := *d.hint
		d.hint = nil
		return id
	}
	id := d.members[d.next%len(d.members)]
	d.next++
	return id
}

// submit brings a request to the leader under one operation ID, and repeats it until it is decided
// or ctx ends (E5). An error that is a *kv.Unavailable says whether the change may still happen.
// Any other error is final.
func (m *Manager) submit(ctx context.Context, r *request, d *directory) (response, error) {
	open, reason := false, "no member answered"
	for {
		if deadline, ok := ctx.Deadline(); ok {
			r.Patience = time.Until(deadline)
		} else {
			r.Patience = time.Minute
		}
		a, err := m.ask(ctx, r, d)
		m.Learn(a.Topology)
		switch {
		case err != nil:
			open = open || !errors.Is(err, transport.ErrNotSent)
			reason = err.Error()
		case a.Code == codeElsewhere:
			d.hint = a.Leader
			reason = "the consensus group has no leader: is a majority of its members running and connected?"
			if a.Leader != nil {
				reason = "the leader, " + a.Leader.Name + ", does not answer"
			}
		case a.Code == codeAgain || a.Code == codeOpen:
			open = open || a.Code == codeOpen
			if a.Detail != "" {
				reason = a.Detail
			}
		default:
			return a, a.err()
		}
		over := m.ended()
		if over || !sleep.For(ctx, every/4) {
			err := ctx.Err()
			if over {
				err = ErrOver
			}
			return response{}, &kv.Unavailable{Outcome: outcome(open), Reason: reason, Err: err}
		}
	}
}

// outcome returns the outcome of a change that is not decided. It is unknown when the change was
// proposed, and so may be agreed on yet.
func outcome(open bool) kv.Outcome {
	if open {
		return kv.Unknown
	}
	return kv.None
}

// ask puts the request to one process, which may be this one.
func (m *Manager) ask(ctx context.Context, r *request, d *directory) (response, error) {
	to := d.pick()
	if to.BootID == m.self.BootID {
		return m.decideHere(ctx, r), nil
	}
	c := wire.Control{Op: wire.OpSubmit, Cluster: uint64(d.cluster), To: to.BootID, Body: encodeJSON(r)}
	reply, err := m.call(ctx, to.Peer, &c)
	if err != nil {
		return response{}, err
	}
	if reply.Status != wire.ControlOK {
		return response{Code: codeAgain, Detail: fmt.Sprintf("%s at %s answers: %v", to.Name, to.Peer, reply.Status)}, nil
	}
	var a response
	err = decodeBody(reply.Body, &a)
	return a, err
}

// propose submits a request of a member. It takes a new operation ID unless the request has one.
func (m *Manager) propose(ctx context.Context, r *request) (response, error) {
	t := m.newest()
	if t == nil {
		return response{}, &kv.Unavailable{Outcome: kv.None, Reason: "this node is not a member of a cluster yet"}
	}
	if r.ID == (OperationID{}) {
		r.ID = m.nextOperation()
	}
	return m.submit(ctx, r, newDirectory(t, m.self))
}

// carryOut proposes a request, and waits until the Host has adopted the epoch that it made.
func (m *Manager) carryOut(ctx context.Context, r *request) error {
	a, err := m.propose(ctx, r)
	if err != nil {
		return err
	}
	return m.awaitAdopted(ctx, a.Epoch)
}

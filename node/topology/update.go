package topology

import (
	"context"
	"errors"
	"fmt"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum/version"
)

// update sends a process that should be at t what is news to it, or only asks how far it is, and
// returns what the process reports. It learns a newer topology that comes back.
func (m *Manager) update(ctx context.Context, to Identity, t *Topology, news update) (wire.ControlReply, updateReply, error) {
	c := wire.Control{Op: wire.OpUpdate, Cluster: uint64(t.Cluster), To: to.BootID, Epoch: t.Epoch, Body: encodeJSON(news)}
	reply, err := m.call(ctx, to.Peer, &c)
	if err != nil {
		return reply, updateReply{}, err
	}
	var answer updateReply
	if reply.Status == wire.ControlOK {
		if err := decodeBody(reply.Body, &answer); err != nil {
			return reply, updateReply{}, err
		}
		m.Learn(answer.Topology)
	}
	return reply, answer, nil
}

// UpdatePeer sends this node's newest topology to the member at an address, which has shown that it
// is behind. It returns nil when the member has taken the topology. A slow member may not have
// adopted it yet.
func (m *Manager) UpdatePeer(ctx context.Context, to transport.Address) error {
	t := m.newest()
	if t == nil {
		return &kv.Unavailable{Outcome: kv.None, Reason: "this node is not a member of a cluster yet"}
	}
	for _, id := range t.recipients() {
		if id.Peer != to {
			continue
		}
		r, _, err := m.update(ctx, id, t, update{Topology: t, Sealed: m.Sealed()})
		if err == nil && r.Status != wire.ControlOK {
			err = fmt.Errorf("topology: %s at %s does not take epoch %d: %v", id.Name, to, t.Epoch, r.Status)
		}
		return err
	}
	return kv.Detail(kv.ErrNoSuchNode, "no member has the address %s", to)
}

// recipients lists all processes that must hear of t: its members, the joiner, and the members of
// the epoch before, including those that are gone.
func (t *Topology) recipients() []Identity {
	var out []Identity
	seen := map[uint64]bool{}
	add := func(id Identity) {
		if !seen[id.BootID] {
			seen[id.BootID] = true
			out = append(out, id)
		}
	}
	for i := range t.Slots {
		add(t.Slots[i].Identity)
	}
	if t.Joining != nil {
		add(t.Joining.Identity)
	}
	for i := range t.Prev.Slots {
		add(t.Prev.Slots[i].Identity)
	}
	return out
}

// serveUpdate learns the topology that a peer sends. It answers once the topology is adopted (E2),
// and this process is quiet at it where the peer asks for that, or after updateTime.
func (m *Manager) serveUpdate(ctx context.Context, c *wire.Control) (wire.ControlStatus, []byte) {
	var news update
	if err := decodeBody(c.Body, &news); err != nil {
		return wire.ControlMalformed, nil
	}
	m.Learn(news.Topology)
	t := m.newest()
	if t == nil || uint64(t.Cluster) != c.Cluster {
		return wire.ControlWrongCluster, nil
	}
	m.LearnSealed(news.Sealed)
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	at := min(c.Epoch, t.Epoch)
	err := m.awaitAdopted(ctx, at)
	if err == nil && news.Quiet {
		err = m.awaitQuiet(ctx, at)
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return wire.ControlRefused, nil
	}
	answer := updateReply{Quiet: m.quietAt()}
	m.mu.Lock()
	answer.Barrier = m.barrier
	if m.known.Epoch > c.Epoch {
		answer.Topology = m.known
	}
	m.mu.Unlock()
	return wire.ControlOK, encodeJSON(answer)
}

// updateTime bounds the answer to an update. The asker waits for callTimeout only. An answer before
// that tells it how far this node is.
const updateTime = callTimeout * 3 / 4

// serveClosed answers for a membership that is over. The sender of an update takes "closed" as the
// promise that nothing completes here any more (M5). So it is said only once the leases that this
// process has given are over, too (L10).
func (m *Manager) serveClosed(ctx context.Context, c *wire.Control) wire.ControlStatus {
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	if c.Op == wire.OpUpdate && m.awaitQuiet(ctx, everyEpoch) != nil {
		return wire.ControlRefused
	}
	return wire.ControlClosed
}

// everyEpoch is above all epochs.
const everyEpoch = ^version.Epoch(0)

// BarrierDone notes that this node has run the sync barrier of the size change made at that epoch.
// The leader asks for it, and hears of it at once where that is possible. It settles the change
// when every slot that owes the barrier has run it. BarrierDone returns when the change is settled
// or the topology has gone on to another.
func (m *Manager) BarrierDone(ctx context.Context, change version.Epoch) error {
	m.mu.Lock()
	m.barrier = max(m.barrier, change)
	m.mu.Unlock()
	m.changed.notify()
	for {
		changed := m.changed.wait()
		t := m.newest()
		if t == nil {
			return ErrOver
		}
		if t.Change == nil || t.Change.Epoch != change {
			return nil
		}
		report, cancel := context.WithTimeout(ctx, callTimeout)
		// The outcome does not matter: the leader asks for the barrier, too.
		_, _ = m.propose(report, &request{Purpose: toSettle, Name: m.self.Name, Epoch: change})
		cancel()
		if m.ended() {
			return ErrOver
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

package topology

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// found asks every other fresh process for its promise. When all have given it, found issues the
// founding document. A round that fails leaves nothing behind: the next one asks anew.
func (m *Manager) found(ctx context.Context, members []Identity) error {
	m.mu.Lock()
	free := m.promised.BootID == 0 || m.promised.BootID == m.self.BootID
	if free {
		m.promised = m.self
	}
	m.mu.Unlock()
	if !free {
		m.waitFor("an earlier founder to give up")
		return nil
	}
	body := encodeJSON(promise{Founder: m.self, BootIDs: bootIDs(members)})
	missing := m.tell(ctx, members, wire.OpPromise, 0, body)
	if len(missing) > 0 {
		m.waitFor("the promise of " + strings.Join(missing, ", "))
		return nil
	}
	if err := m.issue(members); err != nil {
		return err
	}
	// The epoch is another one where a peer's update came first.
	if t := m.newest(); t != nil && t.Epoch == firstEpoch {
		// A process that misses the document learns it from any member.
		m.tell(ctx, members, wire.OpFound, t.Cluster, t.encode())
	}
	return nil
}

// issue makes the founding document known here. From then on this process is a member and the
// cluster exists.
func (m *Manager) issue(members []Identity) error {
	m.mu.Lock()
	decided := Topology{
		Cluster: ClusterID(NewBootID(m.random)), Founder: m.self.BootID,
		Seed:       keyspace.Seed{m.random.Uint64(), m.random.Uint64()},
		DigestKey:  [2]uint64{m.random.Uint64(), m.random.Uint64()},
		ReadQuorum: m.cfg.ReadQuorum, WriteQuorum: m.cfg.WriteQuorum, AllowWeak: m.cfg.AllowWeak,
		Reads: m.cfg.Reads, Lease: m.cfg.Lease,
	}
	for i := range decided.CursorKey {
		decided.CursorKey[i] = byte(m.random.Uint32())
	}
	m.mu.Unlock()
	t, err := firstTopology(decided, members)
	if err != nil {
		return fmt.Errorf("topology: cannot found a cluster of this configuration: %w", err)
	}
	// acceptsLocked holds the founder to its promise: a founder that has promised itself to another
	// since refuses its own document.
	if m.Learn(t) {
		m.log.Info("the node has founded a cluster", zap.Stringer("cluster", t.Cluster), zap.Strings("members", t.Names()))
	}
	return nil
}

// firstEpoch is the epoch of a founding document.
const firstEpoch version.Epoch = 1

// firstTopology returns the first topology of a cluster: what the founder has decided once for the
// cluster, and the members, which are ascending by name. Its incarnations are 1 to N, so the log
// begins after index N.
func firstTopology(decided Topology, members []Identity) (*Topology, error) {
	t := &decided
	t.Epoch = firstEpoch
	t.Reads, t.Lease = cmp.Or(t.Reads, kv.ReadsLease), cmp.Or(t.Lease, kv.DefaultLease)
	for i, m := range members {
		t.Slots = append(t.Slots, Slot{Identity: m, Incarnation: version.Incarnation(i + 1)})
	}
	t.LogIndex = uint64(t.N())
	if err := t.validate(); err != nil {
		return nil, err
	}
	return t, nil
}

// tell sends one request to all others at once. It returns the processes that did not agree, with
// the reasons.
func (m *Manager) tell(ctx context.Context, members []Identity, op wire.ControlOp, cluster ClusterID, body []byte) []string {
	var told sync.WaitGroup
	var mu sync.Mutex
	var missing []string
	for _, id := range members {
		if id.BootID == m.self.BootID {
			continue
		}
		told.Go(func() {
			r, err := m.call(ctx, id.Peer, &wire.Control{Op: op, Cluster: uint64(cluster), To: id.BootID, Body: body})
			if err != nil || r.Status != wire.ControlOK {
				why := m.refused(id, r, err)
				mu.Lock()
				missing = append(missing, why)
				mu.Unlock()
			}
		})
	}
	told.Wait()
	slices.Sort(missing)
	return missing
}

// refused names a process that did not agree, with the reason where that is known.
func (m *Manager) refused(id Identity, r wire.ControlReply, err error) string {
	var p presence
	var o objection
	switch {
	case err != nil:
		return fmt.Sprintf("%s (%s)", id.Name, addressFault(id, p, err))
	case r.Status == wire.ControlWrongBootID && decodeBody(r.Body, &p) == nil:
		m.redial(id, p)
		return fmt.Sprintf("%s (%s)", id.Name, addressFault(id, p, nil))
	case r.Status == wire.ControlRefused && decodeBody(r.Body, &o) == nil:
		return fmt.Sprintf("%s (seen from there, %s)", id.Name, o.Detail)
	}
	return id.Name
}

// promise answers a founder, and returns the founder that this process is bound to. The process
// becomes bound to the founder when both saw the same fresh set and it is bound to no other. A nil
// p changes nothing.
func (m *Manager) promise(p *promise) Identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p != nil && m.known == nil && !m.over && !m.entering && m.promised.BootID == 0 && slices.Equal(p.BootIDs, m.participants) {
		m.promised = p.Founder
	}
	return m.promised
}

// release ends the promise to a founder that is proved dead, or that does not found: it is a
// member, enters some cluster, or has promised itself to another. The promise stands for a founder
// that is silent: it may have issued its document. A promise that is younger than the round is not
// judged by what the round saw.
func (m *Manager) release(bound Identity, seen []sighting, v survey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case bound.BootID == 0 || m.promised != bound || m.known != nil:
		return
	case bound.BootID == m.self.BootID:
		if v.cluster != nil || len(v.fresh) > 0 && v.fresh[0].BootID != m.self.BootID {
			m.promised = Identity{}
		}
		return
	}
	for i := range seen {
		s := &seen[i]
		switch {
		case s.err != nil || s.Name != bound.Name:
		case s.Topology != nil && s.Topology.Founder == bound.BootID: // this process waits for that document
		case s.BootID != bound.BootID || s.State != stateFounding || s.Promised != bound.BootID:
			m.promised = Identity{}
			return
		}
	}
}

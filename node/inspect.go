package node

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// What people are shown of the inside. It goes around the coordinator on purpose: a quorum's answer
// would hide what one replica holds, and repair it.

var (
	errVacant  = errors.New("the member is gone; its slot waits for it to come back")
	errPending = errors.New("the member is still copying, and answers once it has everything")
)

// answers returns why a member answers nothing.
func answers(m *replica.Member) error {
	switch {
	case m.Incarnation != 0:
		return nil
	case m.Pending != 0:
		return errPending
	}
	return errVacant
}

// Placement implements kv.Inspector.
func (n *Node) Placement() kv.Placement {
	s := n.life.Load().state.Load()
	if s == nil {
		return kv.Placement{}
	}
	out := kv.Placement{Epoch: uint64(s.view.Epoch), Members: s.view.Ring.Members(), Owners: make([]int, keyspace.Partitions)}
	for p := range out.Owners {
		out.Owners[p] = s.view.Ring.Owner(keyspace.Partition(p))
	}
	return out
}

// Holdings implements kv.Inspector.
func (n *Node) Holdings(ctx context.Context) []kv.Holding {
	n.inflight.Add(1) // the store is not closed meanwhile
	defer n.inflight.Add(-1)
	v := n.Current()
	if v == nil {
		return nil
	}
	s := v.Origin.(*state)
	out := make([]kv.Holding, len(s.view.Members))
	s.askAll(func(m int) {
		member := &s.view.Members[m]
		digest, err := s.holding(ctx, m)
		out[m] = kv.Holding{Member: member.Name}
		if err != nil {
			out[m].Error = err.Error()
			return
		}
		out[m].Tombstones, out[m].Keys = digest.Tombstones, digest.Records-digest.Tombstones
		out[m].Digest = showSums(digest, s.topology.CursorKey)
	})
	return out
}

// holding returns the digest of everything that a member holds, one that is still copying included.
func (s *state) holding(ctx context.Context, m int) (replica.Digest, error) {
	if m == s.view.Self {
		return s.store.Digest(s.view.Epoch, keyspace.All())
	}
	member := &s.view.Members[m]
	if member.Holder() == 0 {
		return replica.Digest{}, errVacant
	}
	body, err := bulkPeers{}.ask(ctx, &s.view, member, wire.Report, func(b []byte) []byte { return b })
	if err != nil {
		return replica.Digest{}, err
	}
	digests, err := wire.ParseDigests(nil, body)
	switch {
	case err != nil:
		return replica.Digest{}, err
	case len(digests) != 1:
		return replica.Digest{}, fmt.Errorf("node: %d digests in a report", len(digests))
	}
	return digests[0], nil
}

// Copies implements kv.Inspector.
func (n *Node) Copies(ctx context.Context, key []byte) kv.KeyCopies {
	n.inflight.Add(1)
	defer n.inflight.Add(-1)
	out := kv.KeyCopies{Key: string(key)}
	v := n.Current()
	if v == nil {
		return out
	}
	s := v.Origin.(*state)
	p := s.view.Seed.Hash(key).Partition()
	out.Partition, out.Epoch = int(p), uint64(s.view.Epoch)
	copies := make([]kv.Copy, len(s.view.Members))
	s.askAll(func(m int) {
		copies[m] = kv.Copy{Member: s.view.Members[m].Name}
		record, err := s.copyOf(ctx, m, key)
		if err != nil {
			copies[m].Error = err.Error()
			return
		}
		describeCopy(&copies[m], &record)
	})
	// The preference list names slots; who is joining has none yet and comes last.
	names := s.view.Ring.Members()
	placed := make(map[string]bool, len(names))
	for _, i := range s.view.Ring.Preference(p) {
		for m := range copies {
			if copies[m].Member == names[i] {
				out.Copies = append(out.Copies, copies[m])
				placed[names[i]] = true
			}
		}
	}
	for m := range copies {
		if !placed[copies[m].Member] {
			out.Copies = append(out.Copies, copies[m])
		}
	}
	return out
}

// copyOf returns a member's record of a key.
func (s *state) copyOf(ctx context.Context, m int, key []byte) (version.Record, error) {
	member := &s.view.Members[m]
	if err := answers(member); err != nil {
		return version.Record{}, err
	}
	if m == s.view.Self {
		record, _, err := s.store.Get(s.view.Epoch, s.view.Seed.Hash(key), key, nil)
		return record, err
	}
	stamp := wire.Stamp{Cluster: uint64(s.topology.Cluster), Epoch: s.view.Epoch, To: member.Incarnation, From: s.self}
	request := wire.AppendRead(wire.AppendRequest(nil, wire.Read, stamp), &wire.ReadRequest{Value: true, Key: key})
	b, err := transport.Ask(ctx, s.life.node.transport, s.links[m].address, transport.Data, request)
	if err != nil {
		return version.Record{}, err
	}
	reply, err := wire.ParseReply(b)
	if err != nil {
		return version.Record{}, err
	}
	switch reply.Status {
	case wire.OK:
		read, err := wire.ParseReadReply(reply.Body, false)
		return read.Record, err
	case wire.Same: // the request's tag was the absent one
		return version.Record{}, nil
	}
	return version.Record{}, fmt.Errorf("the member refused: %v", reply.Status)
}

func describeCopy(out *kv.Copy, r *version.Record) {
	if r.Tag.IsZero() {
		return
	}
	out.Tag = r.Tag.String()
	out.Version = &kv.CopyVersion{
		Generation: uint64(r.Tag.Generation), Counter: r.Tag.Counter, Incarnation: uint64(r.Tag.Incarnation), Removed: r.Tag.Removed,
	}
	for _, e := range r.Vector.Entries() {
		out.Vector = append(out.Vector, kv.VectorEntry{Incarnation: uint64(e.Incarnation), Counter: e.Counter})
	}
	if r.Live() {
		value := string(r.Value)
		out.Value = &value
	}
}

// askAll calls f for all members at once, and returns when all calls have.
func (s *state) askAll(f func(member int)) {
	var calls sync.WaitGroup
	for m := range s.view.Members {
		calls.Go(func() { f(m) })
	}
	calls.Wait()
}

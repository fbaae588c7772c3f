package peer

import (
	"context"
	"errors"
	"fmt"

	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// What people are shown of one member. These requests go around the coordinator on purpose: a
// quorum's answer would hide what one replica holds, and repair it.

var (
	errVacant  = errors.New("the member is gone; its slot waits for it to come back")
	errPending = errors.New("the member is still copying, and answers once it has everything")
)

// Holding returns the digest of everything that a member holds. A member that is still copying
// answers, too.
func (e *Epoch) Holding(ctx context.Context, m int) (replica.Digest, error) {
	if m == e.View.Self {
		return e.Store.Digest(e.View.Epoch, keyspace.All())
	}
	if e.View.Members[m].Holder() == 0 {
		return replica.Digest{}, errVacant
	}
	body, err := e.bulk(ctx, &e.View.Members[m], wire.Report, func(b []byte) []byte { return b })
	if err != nil {
		return replica.Digest{}, err
	}
	digests, err := wire.ParseDigests(nil, body)
	switch {
	case err != nil:
		return replica.Digest{}, err
	case len(digests) != 1:
		return replica.Digest{}, fmt.Errorf("peer: %d digests in a report", len(digests))
	}
	return digests[0], nil
}

// Record returns a member's record of a key, or a zero record where the member holds none.
func (e *Epoch) Record(ctx context.Context, m int, key []byte) (version.Record, error) {
	member := &e.View.Members[m]
	if err := whyNoAnswer(member); err != nil {
		return version.Record{}, err
	}
	if m == e.View.Self {
		record, _, err := e.Store.Get(e.View.Epoch, e.View.Seed.Hash(key), key, nil)
		return record, err
	}
	request := wire.AppendRead(wire.AppendRequest(nil, wire.Read, e.stamp(member.Incarnation)), &wire.ReadRequest{Value: true, Key: key})
	b, err := e.ask(ctx, m, request)
	if err != nil {
		return version.Record{}, err
	}
	reply, err := wire.ParseReply(b)
	if err != nil {
		return version.Record{}, err
	}
	switch reply.Status {
	case wire.OK:
		read, err := wire.ParseReadReply(nil, reply.Body, false)
		return read.Record, err
	case wire.Same: // the request's tag was zero: the member holds no record
		return version.Record{}, nil
	}
	return version.Record{}, fmt.Errorf("the member refused: %v", reply.Status)
}

// whyNoAnswer returns why a member answers no reads, or nil when it answers them.
func whyNoAnswer(m *replica.Member) error {
	switch {
	case m.Incarnation != 0:
		return nil
	case m.Pending != 0:
		return errPending
	}
	return errVacant
}

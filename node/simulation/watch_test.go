package simulation

import (
	"sync"
	"testing"

	"viakv/node/transport/simnet"
	"viakv/node/wire"
	"viakv/quorum/version"
)

// watch checks invariants against every message that is delivered, and I1 against what clients are
// told, too.
//
//	I1. A tag is minted once: no two values carry one tag, whatever their keys are.
//	I2. Only one incarnation of an address acknowledges writes of an epoch.
//	I3. An acknowledgement is given at the epoch of its request (D2).
type watch struct {
	t testing.TB

	mu     sync.Mutex
	values map[version.Tag]pair
	acked  map[ackedAt]version.Incarnation
}

type pair struct{ key, value string }

type ackedAt struct {
	address string
	cluster uint64
	epoch   version.Epoch
}

func newWatch(t testing.TB) *watch {
	return &watch{t: t, values: map[version.Tag]pair{}, acked: map[ackedAt]version.Incarnation{}}
}

// see checks one delivered message: a request that stores or votes against I1, and its
// acknowledgement against I2 and I3.
func (w *watch) see(m simnet.Message) {
	request := m.Payload
	if m.Reply {
		request = m.Request
	}
	op, stamp, body, err := wire.ParseRequest(request)
	if err != nil || op != wire.Stores && op != wire.Vote {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !m.Reply {
		w.request(body)
		return
	}
	r, err := wire.ParseReply(m.Payload)
	if err != nil {
		w.t.Errorf("a reply that cannot be read: %v", err)
		return
	}
	if r.Status != wire.OK {
		return
	}
	if r.Epoch != stamp.Epoch {
		w.t.Errorf("I3: %s acknowledged at epoch %d what was sent at %d", m.From, r.Epoch, stamp.Epoch)
	}
	at := ackedAt{string(m.From), stamp.Cluster, stamp.Epoch}
	if who, seen := w.acked[at]; seen && who != stamp.To {
		w.t.Errorf("I2: incarnations %d and %d of %s both acknowledged at epoch %d", who, stamp.To, m.From, stamp.Epoch)
	}
	w.acked[at] = stamp.To
}

// request checks the records of a delivered request against I1.
func (w *watch) request(body []byte) {
	for len(body) > 0 {
		s, rest, err := wire.NextStore(body)
		if err != nil {
			w.t.Errorf("a store that cannot be read: %v", err)
			return
		}
		body = rest
		if s.Record.Tag.Removed {
			continue
		}
		w.valueLocked(string(s.Key), s.Record.Tag, string(s.Record.Value))
	}
}

// answer checks what a client was told against I1: that a value was read or stored with a tag.
func (w *watch) answer(key string, tag version.Tag, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.valueLocked(key, tag, value)
}

func (w *watch) valueLocked(key string, tag version.Tag, value string) {
	now := pair{key, value}
	if before, seen := w.values[tag]; seen && before != now {
		w.t.Errorf("I1: %v is the tag of both %q and %q", tag, before, now)
	}
	w.values[tag] = now
}

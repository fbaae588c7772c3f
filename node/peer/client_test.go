package peer

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// The phases of a coordinator reach all members. What is set at one member is read at all members.
// The owner of the key removes it.
func TestACoordinatorReachesItsPeers(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		for i := range 30 {
			key := []byte{'k', byte('a' + i)}
			at := func(k int) *member { return w.nodes[(i+k)%3] }
			for _, value := range []string{"first", "second"} {
				if _, err := at(0).coordinator.Set(w.soon(), key, []byte(value), kv.Options{W: kv.QuorumAll}); err != nil {
					t.Fatal(err)
				}
				got, _, err := at(1).coordinator.Get(w.soon(), nil, key, kv.Options{})
				if err != nil || string(got) != value {
					t.Fatalf("%q, %v, want %q", got, err, value)
				}
			}
			if err := at(2).coordinator.Remove(w.soon(), key, kv.Options{}); err != nil {
				t.Fatal(err)
			}
			if err := at(0).coordinator.Remove(w.soon(), key, kv.Options{}); !errors.Is(err, kv.ErrMissing) {
				t.Fatalf("a second remove: %v", err)
			}
		}
	})
}

// The answer of the key's owner says whether overlapping requests left a remove open, or a fault.
func TestTheOwnerSaysWhyARemoveIsOpen(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.set("k", "v")
		v := w.nodes[0].Current()
		owner := v.Ring.Owner(seed.Hash([]byte("k")).Partition())
		asked := w.nodes[(owner+1)%3]
		for _, cause := range []error{kv.ErrContended, errors.New("cut off")} {
			w.nodes[owner].removing = &kv.Unavailable{Outcome: kv.Unknown, Err: cause}
			before := asked.coordinator.Stats()
			err := asked.coordinator.Remove(w.soon(), []byte("k"), kv.Options{})
			contended := cause == kv.ErrContended
			if !errors.Is(err, kv.ErrUnavailable) || errors.Is(err, kv.ErrContended) != contended {
				t.Errorf("%v: %v", cause, err)
			}
			s := asked.coordinator.Stats()
			if (s.Contended > before.Contended) != contended || (s.Unknown > before.Unknown) == contended {
				t.Errorf("%v: %+v", cause, s)
			}
		}
	})
}

// A call that the operation waits for is sent at once. A call that the operation does not wait for
// may wait to share a write. Bulk requests have a connection of their own.
func TestHowRequestsAreSent(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m, way := w.nodes[0], w.through()
		w.set("k", "v") // W is all: the operation waits for both stores
		if _, err := m.coordinator.Set(w.soon(), []byte("k"), []byte("v"), kv.Options{}); err != nil {
			t.Fatal(err)
		}
		_, err := m.client.Digests(w.soon(), m.Current(), &m.Current().Members[1], []keyspace.Range{keyspace.All()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		counts := map[sending]int{}
		for _, c := range way.calls {
			counts[c]++
		}
		want := map[sending]int{
			{wire.Read, transport.Data, true}:    3, // two of the first set
			{wire.Stores, transport.Data, true}:  3,
			{wire.Stores, transport.Data, false}: 1,
			{wire.Digests, transport.Bulk, true}: 1,
		}
		if !maps.Equal(counts, want) {
			t.Errorf("%+v, want %+v", counts, want)
		}
	})
}

// A peer that is behind is updated once for all the calls that find it behind, and then answers
// them. That holds at one epoch as at the next.
func TestPeersThatAreBehindAreBroughtUpToDate(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		for round := range 2 {
			w.begin(firstEpoch+1+version.Epoch(round), 0)
			done := make(chan error)
			const calls = 20
			value := fmt.Sprint("value ", round)
			for i := range calls {
				go func() {
					_, err := w.nodes[0].coordinator.Set(w.soon(), []byte{byte('a' + i)}, []byte(value), kv.Options{W: kv.QuorumAll})
					done <- err
				}()
			}
			for range calls {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if n := len(w.nodes[0].updatedPeers); n != 2*(round+1) {
				t.Errorf("%d updates for two peers, in round %d", n, round)
			}
			for i := range calls {
				for _, m := range w.nodes {
					if got := m.holds(string(rune('a' + i))); got != value {
						t.Errorf("%s holds %q of %c", m.name(), got, 'a'+i)
					}
				}
			}
		}
	})
}

// Suppose that a call waits while its peer is updated, and that its operation ends meanwhile. The
// call is then not sent again.
func TestACallThatIsGivenUpIsNotSentAgain(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		requests := 0
		w.answers(w.nodes[1].address(), func([]byte) []byte {
			requests++
			return wire.AppendReply(nil, wire.Behind, 1, 0, firstEpoch-1)
		})
		m.fruitless = true
		for i := range 20 {
			if _, _, err := m.coordinator.Get(w.soon(), nil, []byte{byte('a' + i)}, kv.Options{}); err != nil && !errors.Is(err, kv.ErrMissing) {
				t.Errorf("a get that the third member answers: %v", err)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if requests == 0 || requests != len(m.updatedPeers) {
			t.Errorf("the peer received %d requests, and was updated %d times", requests, len(m.updatedPeers))
		}
	})
}

// A peer that cannot be updated does nothing of what it was asked for. For a remove its sender must
// not rely on that: a copy may still be on the way, and may find that the peer has caught up.
func TestPeersThatStayBehind(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		m.updateErr = errors.New("no way there")
		w.begin(firstEpoch+1, 0)
		_, err := m.coordinator.Set(w.soon(), []byte("k"), []byte("v"), kv.Options{})
		if outcome(err) != "none" {
			t.Errorf("a set that only its own node can take: %v", err)
		}
		if err := m.coordinator.Remove(w.soon(), []byte("k"), kv.Options{}); outcome(err) != "unknown" {
			t.Errorf("a remove: %v", err)
		}
		for _, o := range w.nodes[1:] {
			if got := o.holds("k"); got != "" {
				t.Errorf("%s holds %q", o.name(), got)
			}
		}
		// A peer that says each time that it is behind is not asked for ever.
		m.updateErr, m.fruitless, m.updatedPeers = nil, true, nil
		if _, err := m.coordinator.Set(w.soon(), []byte("k"), []byte("v"), kv.Options{}); outcome(err) != "none" {
			t.Errorf("a set at peers that stay behind: %v", err)
		}
		if n := len(m.updatedPeers); n > 3*2*maxTries {
			t.Errorf("two peers were updated %d times", n)
		}
	})
}

// A call waits at most updateTime for its peer to be updated, and not at all once the node stops.
func TestNobodyIsBroughtUpToDateForEver(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		w.begin(firstEpoch+1, 0)
		key := []byte(w.owned(1))
		m.slow = true
		began := time.Now()
		err := m.coordinator.Remove(w.soon(), key, kv.Options{Deadline: began.Add(5 * time.Second)})
		if took := time.Since(began); outcome(err) != "unknown" || took < updateTime || took > updateTime+100*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		m.stopping = true
		began = time.Now()
		err = m.coordinator.Remove(w.soon(), key, kv.Options{Deadline: began.Add(5 * time.Second)})
		if took := time.Since(began); outcome(err) != "unknown" || took > 100*time.Millisecond {
			t.Errorf("a remove of a node that stops: %v after %v", err, took)
		}
	})
}

// A node that is behind learns of a newer epoch from the first refusal, and of each epoch once.
func TestANodeThatIsBehindLearns(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.begin(firstEpoch+1, 1, 2)
		m := w.nodes[0]
		time.AfterFunc(50*time.Millisecond, func() { m.enter(firstEpoch + 1) })
		for range 3 {
			if _, err := m.coordinator.Set(w.soon(), []byte("k"), []byte("v"), kv.Options{}); err != nil {
				t.Errorf("a set that goes on at the next epoch: %v", err)
			}
		}
		if len(m.learned) != 1 || m.learned[0] != "epoch 6" {
			t.Errorf("the node has learned %q", m.learned)
		}
	})
}

// A peer that leaves calls unanswered is asked after the other peers for a while. It owes an answer
// until it has given one.
func TestASilentPeerIsAskedAfterTheOthers(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		v := m.Current()
		w.net.Pause(w.nodes[1].address())
		w.net.Pause(w.nodes[2].address())
		if !m.client.Likely(v, 1) || !m.client.Heard(v, 1).IsZero() {
			t.Error("a peer that was never asked is suspected, or was heard of")
		}
		if _, _, err := m.coordinator.Get(w.soon(), nil, []byte("k"), kv.Options{}); outcome(err) != "none" {
			t.Errorf("a get that nobody answers: %v", err)
		}
		for peer := 1; peer < 3; peer++ {
			if m.client.Likely(v, peer) || m.client.Answers(v, peer) {
				t.Errorf("peer %d is not suspected", peer)
			}
		}
		w.net.Resume(w.nodes[1].address())
		w.net.Resume(w.nodes[2].address())
		time.Sleep(2 * suspicion)
		if !m.client.Likely(v, 1) || m.client.Answers(v, 1) {
			t.Error("a peer is not given another chance, or trusted before it has answered")
		}
		if _, err := m.coordinator.Set(w.soon(), []byte("k"), []byte("v"), kv.Options{W: kv.QuorumAll}); err != nil {
			t.Error(err)
		}
		if !m.client.Answers(v, 1) || m.client.Heard(v, 1).IsZero() {
			t.Error("an answer does not end the suspicion")
		}
	})
}

// A malformed answer is no reply, and counts for nothing.
func TestNonsenseIsNoReply(t *testing.T) {
	for what, answer := range map[string][]byte{
		"cut short": {1}, "a reply whose body is no record": wire.AppendReply(nil, wire.OK, 1, 0, firstEpoch),
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				for _, m := range w.nodes[1:] {
					w.answers(m.address(), func([]byte) []byte { return answer })
				}
				_, err := w.nodes[0].coordinator.Set(w.soon(), []byte("k"), []byte("v"), kv.Options{})
				if outcome(err) != "none" || !strings.Contains(err.Error(), "a reply of n2") {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// A call that was withdrawn because another peer was quicker does not make its own peer suspect.
func TestALostRaceIsNoSilence(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		w.net.Pause(w.nodes[1].address())
		key := []byte(w.owned(1))
		if _, _, err := m.coordinator.Get(w.soon(), nil, key, kv.Options{}); !errors.Is(err, kv.ErrMissing) {
			t.Fatal(err)
		}
		if !m.client.Likely(m.Current(), 1) {
			t.Error("the peer is suspected at once")
		}
	})
}

// The calls to a member that has gone end with its link. The calls to the other members go on.
func TestAWayThatIsGoneEndsItsCalls(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		took := make([]time.Duration, 3)
		var calls sync.WaitGroup
		for _, peer := range []int{1, 2} {
			w.net.Pause(w.nodes[peer].address())
			calls.Go(func() {
				began := time.Now()
				if _, err := m.present.Load().Holding(w.soon(), peer); err == nil {
					t.Error("a member that is paused answers")
				}
				took[peer] = time.Since(began)
			})
		}
		synctest.Wait()
		next := m.view(firstEpoch + 1)
		next.Members[1].Address = "elsewhere:1"
		m.store.Advance(next.Epoch, next.Generation)
		m.Enter(m.Next(next, m.store, m.incarnation()))
		calls.Wait()
		if took[1] != 0 || took[2] != askTime {
			t.Errorf("the calls took %v", took[1:])
		}
	})
}

// The links of members that have gone are forgotten. The links of the other members live on.
func TestLinksOutliveEpochs(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		before := m.present.Load()
		before.links[1].suspect(time.Now())
		w.begin(firstEpoch + 1)
		if m.client.Likely(m.Current(), 1) {
			t.Error("a suspicion ends with its epoch")
		}
		v := m.view(firstEpoch + 2)
		v.Members[1].Address, v.Members[1].Incarnation = "elsewhere:1", version.Incarnation(300)
		m.store.Advance(v.Epoch, v.Generation)
		m.Enter(m.Next(v, m.store, m.incarnation()))
		after := m.present.Load()
		if after.links[1] == before.links[1] || after.links[2] != before.links[2] || !m.client.Likely(m.Current(), 1) {
			t.Error("a link does not belong to its address")
		}
		if n := len(m.links); n != 3 {
			t.Errorf("%d links of three members", n)
		}
	})
}

// A reply decides the call's status. For a failed call it also decides whether the peer certainly
// has not done, and will not do, what it was asked for.
func TestWhatARepliesStatusMeans(t *testing.T) {
	body, same := wire.AppendReadReply(nil, new(wire.ReadReply), false), wire.AppendReadReply(nil, new(wire.ReadReply), true)
	ack := wire.AppendAcknowledgement(nil, new(wire.Acknowledgement))
	for _, c := range []struct {
		kind    quorum.Kind
		reply   wire.Reply
		want    quorum.Status
		notSent bool
	}{
		{quorum.ReadTag, wire.Reply{Status: wire.OK, Body: body}, quorum.OK, false},
		{quorum.ReadRecord, wire.Reply{Status: wire.Same, Body: same}, quorum.Same, false},
		{quorum.Vote, wire.Reply{Status: wire.OK, Body: ack}, quorum.OK, false},
		{quorum.Vote, wire.Reply{Status: wire.OK}, quorum.Failed, false}, // without a body
		{quorum.Vote, wire.Reply{Status: wire.NotActive}, quorum.Failed, true},
		{quorum.Vote, wire.Reply{Status: wire.Nack, Body: ack}, quorum.Nack, false},
		{quorum.Remove, wire.Reply{Status: wire.OK}, quorum.OK, false},
		{quorum.Remove, wire.Reply{Status: wire.Missing}, quorum.Missing, false},
		{quorum.Remove, wire.Reply{Status: wire.Unknown}, quorum.Open, false},
		{quorum.Remove, wire.Reply{Status: wire.Overloaded}, quorum.Failed, true},
		{quorum.Remove, wire.Reply{Status: wire.NotActive}, quorum.Failed, true},
	} {
		call := &quorum.Call{Kind: c.kind}
		(&carrier{call: call, link: &link{}}).decode(c.reply)
		if call.Status != c.want || call.NotSent != c.notSent {
			t.Errorf("kind %d answered %v: status %d, not sent %v; want %d, %v", c.kind, c.reply.Status, call.Status, call.NotSent, c.want, c.notSent)
		}
		if failed := call.Status == quorum.Failed || call.Status == quorum.Open; failed != (call.Err != nil) {
			t.Errorf("kind %d answered %v: %v", c.kind, c.reply.Status, call.Err)
		}
	}
}

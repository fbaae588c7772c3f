package peer

import (
	"errors"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum/version"
)

// removal returns a Remove request that the first member forwards to the second one, encoded.
func (w *world) removal(key string, sequence uint64, at version.Epoch) []byte {
	return wire.AppendRemove(wire.AppendRequest(nil, wire.Remove, w.stamp(at)), &wire.RemoveRequest{Key: []byte(key), Left: time.Second, Sequence: sequence})
}

// set sets a key at the first member, and waits for all members to store it.
func (w *world) set(key, value string) {
	w.t.Helper()
	if _, err := w.nodes[0].coordinator.Set(w.soon(), []byte(key), []byte(value), kv.Options{W: kv.QuorumAll}); err != nil {
		w.t.Fatal(err)
	}
}

// T1: the network delivers a forwarded remove twice, the second time at a later epoch. If that copy
// were refused as stale, the sender would take it that nothing has been done. It would run the
// remove itself, and answer that there was nothing to remove.
func TestACopyOfARemoveIsNotStale(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.set("k", "v")
		request, other := w.removal("k", 1<<40, firstEpoch), w.removal("k", 1<<40+1, firstEpoch)
		w.serve(wire.OK, request)
		w.serve(wire.Unknown, request)
		w.begin(firstEpoch + 1)
		w.serve(wire.Unknown, request)
		// The other remove was not done, so its sender may do it itself.
		w.serve(wire.Stale, other)
		w.serve(wire.Unknown, other)
	})
}

// T1: a copy of a remove that an owner has carried out arrives after that owner was killed, at the
// process that has its address now. The copy is not refused in a way that shows that nothing was
// done.
func TestACopyOfARemoveReachesTheNextProcess(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		sequence := uint64(1 << 40)
		removal := func(at version.Epoch) []byte {
			sequence++
			stamp := w.stamp(at)
			stamp.To-- // the process that was killed
			return wire.AppendRemove(wire.AppendRequest(nil, wire.Remove, stamp), &wire.RemoveRequest{Key: []byte("k"), Left: time.Second, Sequence: sequence})
		}
		s := w.nodes[1].server
		w.serve(wire.WrongDestination, removal(firstEpoch))
		w.serve(wire.WrongDestination, removal(firstEpoch-1))
		w.reply(wire.WrongDestination, s.Refuse(nil, removal(firstEpoch)))
		s.StopRemoves()
		w.inline(wire.WrongDestination, removal(firstEpoch))
		w.nodes[1].Seal()
		w.serve(wire.WrongDestination, removal(firstEpoch))
	})
}

// What another process answers does not show that a remove was not done, and the sender must not do
// it itself. The next removes of the key are not sent there.
func TestARemoveThatAnotherProcessRefuses(t *testing.T) {
	for status, want := range map[wire.Status]string{
		wire.WrongCluster: "unknown", wire.WrongDestination: "unknown", wire.Malformed: "unknown",
		wire.NotActive: "", wire.Overloaded: "", // it is done here
	} {
		t.Run(status.String(), func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				m, key, asked := w.nodes[0], []byte(w.owned(1)), 0
				w.answers(w.nodes[1].address(), func(request []byte) []byte {
					if wire.Op(request[0]) == wire.Remove {
						asked++
					}
					return wire.AppendReply(nil, status, 0, 0, firstEpoch)
				})
				if err := m.coordinator.Remove(w.soon(), key, kv.Options{}); outcome(err) != want {
					t.Error(err)
				}
				elsewhere := status == wire.WrongCluster || status == wire.WrongDestination
				if m.client.Answers(m.Current(), 1) == elsewhere {
					t.Error("whether the owner answers is judged wrongly")
				}
				if err := m.coordinator.Remove(w.soon(), key, kv.Options{}); elsewhere && (!errors.Is(err, kv.ErrMissing) || asked != 1) {
					t.Errorf("%v, after %d removes were sent", err, asked)
				}
			})
		})
	}
}

// T4: a remove for which there is no room is refused, so that its sender does it. A second copy
// must not be carried out once there is room again. The same holds for a remove that was refused by
// the transport. A node that stops has no room for any remove.
func TestARefusedRemoveIsNotCarriedOutLater(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.set("k", "v")
		s := w.nodes[1].server
		first, second, third := w.removal("k", 1<<40, firstEpoch), w.removal("k", 1<<40+1, firstEpoch), w.removal("k", 1<<40+2, firstEpoch)
		s.coordinated.Store(maxCoordinated)
		w.inline(wire.Overloaded, first)
		w.inline(wire.Unknown, first)
		s.coordinated.Store(0)
		w.serve(wire.Unknown, first)
		w.reply(wire.Overloaded, s.Refuse(nil, second))
		w.serve(wire.Unknown, second)
		s.stopping.Store(true)
		w.inline(wire.Overloaded, third)
		s.stopping.Store(false)
		w.serve(wire.Unknown, third)
		if got := w.nodes[1].holds("k"); got != "v" {
			t.Errorf("the key holds %q", got)
		}
		if _, ok := s.ServeInline(nil, w.removal("k", 1<<40+3, firstEpoch)); ok {
			t.Error("a remove for which there is room is answered in place")
		}
		w.serve(wire.OK, w.removal("k", 1<<40+3, firstEpoch))
		if n := s.Coordinated(); n != 0 {
			t.Errorf("%d removes are under way", n)
		}
	})
}

// A node that is about to stop refuses removes in place, before they cost anything.
func TestAStoppingServerRefusesRemoves(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.nodes[1].server.StopRemoves()
		w.inline(wire.Overloaded, w.removal("k", 1<<40, firstEpoch))
		w.inline(wire.OK, requests(w.stamp(firstEpoch))[wire.Stores].bytes)
	})
}

// A peer that is behind has done nothing, and is sent the same bytes again.
func TestARemoveIsSentAgainToAPeerThatWasBehind(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		request := w.removal("k", 1<<40, firstEpoch+1)
		w.serve(wire.Behind, request)
		w.begin(firstEpoch + 1)
		w.serve(wire.Missing, request)
		w.serve(wire.Unknown, request)
	})
}

// The sender of a refused remove does the remove itself. Where the outcome cannot be known, the
// reply says so.
func TestWhatARemoveCameTo(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.set("k", "v")
		other := w.stamp(firstEpoch)
		other.Cluster++
		w.serve(wire.WrongCluster, wire.AppendRemove(wire.AppendRequest(nil, wire.Remove, other), &wire.RemoveRequest{Key: []byte("k"), Left: time.Second, Sequence: 1}))
		malformed := append(w.removal("k", 2, firstEpoch), 1)
		w.serve(wire.Malformed, malformed)
		w.reply(wire.Malformed, w.nodes[1].server.Refuse(nil, malformed))
		for i := range 3 {
			if i != 1 {
				w.net.Kill(w.nodes[i].address())
			}
		}
		// Without a quorum of reads the owner has begun nothing.
		w.serve(wire.NotActive, w.removal("k", 3, firstEpoch))
		if r := w.nodes[1].removes; len(r) != 1 || r[0].underway != 1 {
			t.Errorf("%+v", r)
		}
		w.nodes[1].removing = &kv.Unavailable{Outcome: kv.Unknown, Reason: "cut off while it was done"}
		w.serve(wire.Unknown, w.removal("k", 4, firstEpoch))
		w.nodes[1].removing = &kv.Unavailable{Outcome: kv.Unknown, Err: kv.ErrContended}
		w.serve(wire.Unknown, w.removal("k", 5, firstEpoch))
	})
}

// A remove is named within its cluster: another cluster numbers its removes independently.
func TestRemovesOfTwoClustersAreApart(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[1]
		other := w.stamp(firstEpoch)
		other.Cluster++
		request := wire.AppendRemove(wire.AppendRequest(nil, wire.Remove, other), &wire.RemoveRequest{Key: []byte("k"), Left: time.Second, Sequence: 7})
		w.serve(wire.WrongCluster, request)
		w.serve(wire.Missing, w.removal("k", 7, firstEpoch))
		if len(m.removes) != 1 {
			t.Errorf("%d removes", len(m.removes))
		}
	})
}

// The owner coordinates a remove with the options that the sender was given.
func TestARemoveTravelsWhole(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		o := kv.Options{R: kv.QuorumAll, W: kv.QuorumAll, Deadline: time.Now().Add(700 * time.Millisecond), Trace: kv.Trace{ID: [16]byte{1}, Parent: [8]byte{2}}}
		key := w.owned(1)
		w.set(key, "v")
		if err := w.nodes[0].coordinator.Remove(w.soon(), []byte(key), o); err != nil {
			t.Fatal(err)
		}
		r := w.nodes[1].removes
		if len(r) != 1 || r[0].R != o.R || r[0].W != o.W || r[0].Trace.ID != o.Trace.ID || r[0].Deadline.After(o.Deadline.Add(50*time.Millisecond)) || r[0].Deadline.Before(o.Deadline) {
			t.Errorf("%+v, want %+v", r, o)
		}
	})
}

// The connection to the owner is lost while a remove is under way there. The owner may have done
// it. So the sender must not do it itself and answer that there is nothing to remove.
func TestARemoveWhoseOwnerIsLost(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		key := w.owned(1)
		w.set(key, "v")
		w.net.Pause(w.nodes[1].address())
		m := w.nodes[0]
		time.AfterFunc(50*time.Millisecond, func() { m.cfg.Transport.Forget(w.nodes[1].address()) })
		if err := m.coordinator.Remove(w.soon(), []byte(key), kv.Options{}); outcome(err) != "unknown" {
			t.Error(err)
		}
		if m.client.Likely(m.Current(), 1) {
			t.Error("an owner that was lost is asked first")
		}
	})
}

// A remove that has not left its sender is done by the sender.
func TestARemoveThatDoesNotLeave(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		key := w.owned(1)
		w.set(key, "v")
		w.through().stop(w.nodes[1].address())
		if err := w.nodes[0].coordinator.Remove(w.soon(), []byte(key), kv.Options{}); err != nil {
			t.Error(err)
		}
		if n := len(w.nodes[1].removes); n != 0 {
			t.Errorf("the owner was asked for %d removes", n)
		}
	})
}

// A carrier forgets what it noted of a call when the call ends. A remove that found its owner
// behind says nothing of the next remove, which uses the same carrier.
func TestACarrierForgetsItsCall(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m, way := w.nodes[0], w.through()
		w.begin(firstEpoch+1, 0)
		key := []byte(w.owned(1))
		if err := m.coordinator.Remove(w.soon(), key, kv.Options{}); !errors.Is(err, kv.ErrMissing) || len(m.updatedPeers) != 1 {
			t.Errorf("%v, the owner was updated %d times", err, len(m.updatedPeers))
		}
		way.stop(w.nodes[1].address())
		for range 20 {
			if err := m.coordinator.Remove(w.soon(), key, kv.Options{}); !errors.Is(err, kv.ErrMissing) {
				t.Fatal(err)
			}
		}
	})
}

// forget forgets a request in both spans of time. A request that is known stays known for at least
// one span.
func TestOnceForgets(t *testing.T) {
	var o recentRequests
	now := time.Now()
	id := requestID{cluster, version.Operation{Incarnation: 1, Sequence: 1}}
	for turns := range 2 {
		if !o.first(id, now) || o.first(id, now) {
			t.Errorf("the first copy is not told from the second, after %d turns", turns)
		}
		now = now.Add(recentSpan + 1)
		if o.first(id, now) {
			t.Error("a turn has forgotten a request")
		}
		o.forget(id)
	}
	for i := range uint64(100) {
		o.first(requestID{cluster, version.Operation{Incarnation: 1, Sequence: 10 + i}}, now)
		now = now.Add(recentSpan / 10)
	}
	if n := len(o.now) + len(o.old); n > 25 {
		t.Errorf("recentRequests remembers %d requests of two spans with ten each", n)
	}
}

// When the transport has no room, control messages are refused with a control reply, and all other
// requests with an ordinary one.
func TestWhatTheTransportHasNoRoomFor(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		s := w.nodes[1].server
		w.reply(wire.Overloaded, s.Refuse(nil, requests(w.stamp(firstEpoch))[wire.Stores].bytes))
		w.reply(wire.Malformed, s.Refuse(nil, nil))
		r, err := wire.ParseControlReply(s.Refuse(nil, []byte{byte(wire.FirstControlOp)}))
		if err != nil || r.Status != wire.ControlRefused {
			t.Errorf("%v, %v", r.Status, err)
		}
	})
}

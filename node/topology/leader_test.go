package topology

import (
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"viakv/node/transport"
	"viakv/node/wire"
)

// appends reports whether a request carries entries of the consensus log.
func appends(request []byte) bool {
	var m raftpb.Message
	c, err := wire.ParseControl(request)
	return err == nil && c.Op == wire.OpRaft && proto.Unmarshal(c.Body, &m) == nil && m.GetType() == raftpb.MsgApp
}

// updates reports whether a request tells a voter to take the lead over.
func updates(request []byte) bool {
	var m raftpb.Message
	c, err := wire.ParseControl(request)
	return err == nil && c.Op == wire.OpRaft && proto.Unmarshal(c.Body, &m) == nil && m.GetType() == raftpb.MsgTimeoutNow
}

// A new leader decides nothing before an entry of its own term is applied: only then has it applied
// all that earlier leaders agreed on. That it has applied entries of the leader before, in the term
// that was that one's own, says nothing.
func TestALeaderWaitsForAnEntryOfItsTerm(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		leader := w.leader(a, b, c)
		if _, err := leader.m.Clear(w.ctx(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		rest := others(leader, a, b, c)
		leader.crash()
		w.net.filter(func(_, _ transport.Address, request []byte) bool { return appends(request) }, nil)
		elected := func() (group *group) {
			for _, p := range rest {
				p.m.mu.Lock()
				g := p.m.group
				p.m.mu.Unlock()
				if g != nil && g.snapshot().leader == p.id.BootID {
					return g
				}
			}
			return nil
		}
		w.until("another leader is elected", 10*time.Second, func() bool { return elected() != nil })
		for range 40 { // its first entry cannot be agreed on
			if g := elected(); g != nil && g.snapshot().leading != nil {
				t.Fatal("it leads before an entry of its term is applied")
			}
			time.Sleep(5 * time.Millisecond)
		}
		w.net.filter(nil, nil)
		w.until("it leads", 10*time.Second, func() bool {
			g := elected()
			return g != nil && g.snapshot().leading != nil
		})
	})
}

// A request that was told that nothing has been proposed is not proposed afterwards.
func TestWhatWasAnsweredIsNotProposed(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a")
		w.agree(5*time.Second, a)
		w.until("it leads", 10*time.Second, func() bool { return a.m.group.snapshot().leading != nil })
		l, before := a.m.group.snapshot().leading, a.m.Current()
		gone := asking(toClear, "") // its asker has given up, after the leader had looked at the queue
		l.enact(&Command{ID: gone.ID, Expect: before.Epoch, Kind: Clear}, gone)
		if now := a.m.newest(); now.Epoch != before.Epoch {
			t.Errorf("a clear that was answered with none has taken place")
		}
	})
}

// An asker that asks again, since the answer to its call was late, takes its former place: calls
// that nobody waits for any more do not pile up.
func TestARequestIsQueuedOnce(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		leader := w.leader(a, b, c)
		w.until("it leads", 10*time.Second, func() bool { return leader.m.group.snapshot().leading != nil })
		for _, p := range others(leader, a, b, c) {
			p.block() // so that nothing is sealed, and requests wait
		}
		if _, err := leader.m.Clear(w.ctx(3 * time.Second)); err == nil {
			t.Fatal("a clear was sealed by nobody")
		}
		l := leader.m.group.snapshot().leading
		r := &request{ID: OperationID{77, 1}, Purpose: toClear, Patience: time.Minute}
		answers := make(chan response, 5)
		for range 5 {
			go func() { answers <- l.submit(w.ctx(time.Minute), r, 0) }()
			time.Sleep(10 * time.Millisecond)
		}
		for range 4 {
			select {
			case a := <-answers:
				if a.Code != codeAgain {
					t.Errorf("a call that was asked again: %+v", a)
				}
			case <-time.After(time.Second):
				t.Fatal("a call that was asked again still waits")
			}
		}
		for _, p := range others(leader, a, b, c) {
			p.unblock()
		}
		if a := <-answers; a.Code != codeOK {
			t.Errorf("the last call: %+v", a)
		}
	})
}

// A change of the voters that raft refuses at once, as it does while a transfer of the lead is under
// way, is tried again a tick later: a leader that asked again and again would keep a processor busy
// until the transfer is given up, and in virtual time for ever.
func TestARefusedChangeOfVotersWaits(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		leader := w.leader(a, b, c)
		w.until("it leads", 10*time.Second, func() bool { return leader.m.group.snapshot().leading != nil })
		g, heir := leader.m.group, others(leader, a, b, c)[0].id.BootID
		w.net.filter(func(_, _ transport.Address, request []byte) bool { return updates(request) }, nil)
		g.transfer(w.ctx(time.Second), heir)
		began := time.Now()
		g.change(w.ctx(10*time.Second), raftpb.ConfChangeAddLearnerNode, 4711)
		if took := time.Since(began); took < leader.m.cfg.Tick {
			t.Errorf("tried again after %v", took)
		}
		if slices.Contains(g.snapshot().learners, 4711) {
			t.Error("the change was not refused: nothing was tested")
		}
	})
}

// So is a step of the leader's own that is refused.
func TestARefusedStepWaits(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a") // alone, a step takes no time
		w.agree(5*time.Second, a)
		w.until("it leads", 10*time.Second, func() bool { return a.m.group.snapshot().leading != nil })
		l, before := a.m.group.snapshot().leading, a.m.Current()
		began := time.Now()
		l.enact(&Command{Kind: Settle, Expect: before.Epoch}, nil) // nothing has changed in size
		if took := time.Since(began); took < a.m.cfg.Tick {
			t.Errorf("tried again after %v", took)
		}
		if now := a.m.newest(); now.Epoch != before.Epoch {
			t.Error("the step was not refused: nothing was tested")
		}
	})
}

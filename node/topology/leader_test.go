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

// carries reports whether a request carries a consensus message of this type.
func carries(request []byte, kind raftpb.MessageType) bool {
	var m raftpb.Message
	c, err := wire.ParseControl(request)
	return err == nil && c.Op == wire.OpRaft && proto.Unmarshal(c.Body, &m) == nil && m.GetType() == kind
}

// A new leader decides nothing before an entry of its own term is applied. Only then has it applied
// all that earlier leaders agreed on. Entries of an earlier leader in that leader's term do not
// prove this.
func TestALeaderWaitsForAnEntryOfItsTerm(t *testing.T) {
	simulate(t, func(w *world) {
		leader, b, c := w.ledTrio()
		if _, err := leader.m.Clear(w.ctx(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		leader.crash()
		w.net.filter(func(_, _ transport.Address, request []byte) bool { return carries(request, raftpb.MsgApp) }, nil)
		elected := func() (group *group) {
			for _, p := range []*process{b, c} {
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
		for range 40 { // the first entry of the new leader cannot be agreed on
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

// A request that was answered with "nothing has been proposed" is not proposed afterwards.
func TestWhatWasAnsweredIsNotProposed(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a")
		w.agree(5*time.Second, a)
		l, before := w.leads(a), a.m.current()
		// The caller has given up after the leader looked at the queue: the request is in no queue.
		gone := asking(toClear, "")
		l.enact(&command{ID: gone.ID, Expect: before.Epoch, Kind: Clear}, gone)
		if now := a.m.newest(); now.Epoch != before.Epoch {
			t.Errorf("a clear took place whose caller was told that nothing has been proposed")
		}
	})
}

// A caller that asks again, since the answer to its call was late, takes its former place in the
// queue. So calls whose callers have given up do not pile up.
func TestARequestIsQueuedOnce(t *testing.T) {
	simulate(t, func(w *world) {
		leader, b, c := w.ledTrio()
		l := w.leads(leader)
		b.block() // no epoch is sealed then, and requests wait
		c.block()
		if _, err := leader.m.Clear(w.ctx(3 * time.Second)); err == nil {
			t.Fatal("a clear was answered although no other member has adopted it")
		}
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
		b.unblock()
		c.unblock()
		if a := <-answers; a.Code != codeOK {
			t.Errorf("the last call: %+v", a)
		}
	})
}

// Raft refuses a change of the voters at once while a transfer of the lead is under way. The leader
// tries again a tick later. If it tried again at once, it would keep a processor busy until raft
// gives the transfer up, and in virtual time for ever.
func TestARefusedChangeOfVotersWaits(t *testing.T) {
	simulate(t, func(w *world) {
		leader, other, _ := w.ledTrio()
		w.leads(leader)
		g, transferee := leader.m.group, other.id.BootID
		w.net.filter(func(_, _ transport.Address, request []byte) bool { return carries(request, raftpb.MsgTimeoutNow) }, nil)
		g.transfer(w.ctx(time.Second), transferee)
		began := time.Now()
		g.change(w.ctx(10*time.Second), raftpb.ConfChangeAddLearnerNode, 4711)
		if took := time.Since(began); took < tick {
			t.Errorf("tried again after %v", took)
		}
		if slices.Contains(g.snapshot().learners, 4711) {
			t.Error("the change was not refused: nothing was tested")
		}
	})
}

// A step of the leader's own that is refused is also tried again a tick later.
func TestARefusedStepWaits(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a") // in a cluster of one a step takes no time
		w.agree(5*time.Second, a)
		l, before := w.leads(a), a.m.current()
		began := time.Now()
		// Refused, since no change of size is under way.
		l.enact(&command{Kind: Settle, Expect: before.Epoch}, nil)
		if took := time.Since(began); took < tick {
			t.Errorf("tried again after %v", took)
		}
		if now := a.m.newest(); now.Epoch != before.Epoch {
			t.Error("the step was not refused: nothing was tested")
		}
	})
}

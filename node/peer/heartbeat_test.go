package peer

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/health"
	"viakv/node/wire"
	"viakv/quorum/replica"
)

// watches has all members send heartbeats, as their nodes do, until the world ends.
func (w *world) watches() {
	for _, m := range w.nodes {
		go func() {
			for m.ctx.Err() == nil {
				m.present.Load().Watch(m.ctx)
			}
		}()
	}
}

// sees checks what the first member knows of the second one, and that requests are sent to it
// exactly while nothing speaks against it.
func (w *world) sees(want health.Reach) {
	w.t.Helper()
	w.knows(0, 1, want)
	v := w.nodes[0].Current()
	there := want == health.Answers || want == health.Unheard
	w.nodes[0].present.Load().links[1].trust() // what a call may have left behind is not meant here
	if likely, answers := w.nodes[0].client.Likely(v, 1), w.nodes[0].client.Answers(v, 1); likely != there || answers != there {
		w.t.Errorf("%v: likely %v, answers %v", want, likely, answers)
	}
}

// knows checks what one member knows of another.
func (w *world) knows(at, other int, want health.Reach) {
	w.t.Helper()
	if got := w.nodes[at].present.Load().Reach(other); got != want {
		w.t.Errorf("%s says of %s: %v, want %v", w.nodes[at].name(), w.nodes[other].name(), got, want)
	}
}

// Members that nobody sends requests to know of each other, at once and for as long as they run.
func TestHeartbeatsShowWhoAnswers(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		for at := range 3 {
			for other := range 3 {
				if at == other {
					w.knows(at, other, health.Answers)
				} else {
					w.knows(at, other, health.Unheard)
				}
			}
		}
		w.watches()
		time.Sleep(10 * time.Millisecond)
		for range 100 {
			for at := range 3 {
				for other := range 3 {
					w.knows(at, other, health.Answers)
				}
			}
			time.Sleep(137 * time.Millisecond)
		}
		w.sees(health.Answers)
	})
}

// An answer counts for contactValid, if nothing else is heard.
func TestAnAnswerCountsForAWhile(t *testing.T) {
	now := time.Now()
	c := contact{answered: now}
	for _, x := range []struct {
		after time.Duration
		want  health.Reach
	}{{0, health.Answers}, {contactValid, health.Answers}, {contactValid + 1, health.Silent}} {
		if got := c.reachAt(now.Add(x.after)); got != x.want {
			t.Errorf("%v after the answer: %v, want %v", x.after, got, x.want)
		}
	}
	c = contact{answered: now, failing: now.Add(time.Second), reach: health.NoConnection}
	for _, x := range []struct {
		after time.Duration
		want  health.Reach
	}{{time.Second, health.Answers}, {time.Second + failuresCount - 1, health.Answers}, {time.Second + failuresCount, health.NoConnection}, {time.Hour, health.NoConnection}} {
		if got := c.reachAt(now.Add(x.after)); got != x.want {
			t.Errorf("%v after the answer, and failing: %v, want %v", x.after, got, x.want)
		}
	}
	c = contact{answered: now, reach: health.Restarted, refused: true}
	if got := c.reachAt(now); got != health.Restarted {
		t.Errorf("refused: %v", got)
	}
	if got := new(contact).reachAt(now); got != health.Unheard {
		t.Errorf("nothing: %v", got)
	}
}

// A member that hangs is away within three seconds, and answers again within one when it goes on.
// This network has no connection to a member a second after its last answer.
func TestAMemberThatHangsIsSilent(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.watches()
		time.Sleep(time.Second)
		w.net.Pause(w.nodes[1].address())
		time.Sleep(1100 * time.Millisecond)
		w.knows(0, 1, health.NoConnection)
		time.Sleep(1400 * time.Millisecond)
		for range 20 { // and it is told once
			time.Sleep(300 * time.Millisecond)
			w.sees(health.NoConnection)
		}
		w.net.Resume(w.nodes[1].address())
		time.Sleep(time.Second)
		w.sees(health.Answers)
	})
}

// A member whose network refuses everything has no connection. Short faults show nothing.
func TestAMemberWithoutAConnection(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		way := w.through()
		w.watches()
		time.Sleep(600 * time.Millisecond)
		way.stop(w.nodes[1].address())
		for range 26 { // the next heartbeat is sent after 400 ms, and fails for 250 ms more
			time.Sleep(25 * time.Millisecond)
			w.knows(0, 1, health.Answers)
		}
		time.Sleep(200 * time.Millisecond)
		w.sees(health.NoConnection)
		w.knows(1, 0, health.Answers) // the other direction works
		way.stop("")
		time.Sleep(250 * time.Millisecond)
		w.sees(health.Answers)
	})
}

// standIn puts a process at the second member's address. It answers all with a status, and as the
// member itself while the status is OK.
func (w *world) standIn(status *atomic.Uint32) {
	w.answers(w.nodes[1].address(), func(request []byte) []byte {
		if s := wire.Status(status.Load()); s != wire.OK {
			return wire.AppendReply(nil, s, 0, 0, firstEpoch)
		}
		b, _ := w.nodes[1].server.ServeInline(nil, request)
		return b
	})
}

// Another process answers in a member's place. What a reply proves counts at once; what may be for
// a moment only, such as a cluster that the process is about to enter, counts after a moment. In
// each case the member answers again within half a second of being there.
func TestAnotherProcessAnswers(t *testing.T) {
	for _, c := range []struct {
		status wire.Status
		who    health.Reach // finds the node that asks
		want   health.Reach
		after  time.Duration
	}{
		{wire.WrongCluster, health.Restarted, health.Restarted, heartbeatEvery},
		{wire.WrongCluster, health.Elsewhere, health.Elsewhere, heartbeatEvery},
		{wire.WrongCluster, health.Answers, health.Elsewhere, heartbeatEvery + failuresCount},
		{wire.WrongCluster, health.NoConnection, health.NoConnection, heartbeatEvery + failuresCount},
		{wire.WrongDestination, health.Restarted, health.Restarted, heartbeatEvery},
		{wire.WrongDestination, health.Silent, health.Silent, heartbeatEvery + failuresCount},
		{wire.NotActive, health.Restarted, health.Restarted, heartbeatEvery},
		{wire.NotActive, health.Answers, health.Elsewhere, heartbeatEvery + failuresCount},
		{wire.Overloaded, health.Answers, health.Silent, heartbeatEvery + failuresCount},
		{wire.Malformed, health.Answers, health.Silent, heartbeatEvery + failuresCount},
	} {
		t.Run(c.status.String()+", "+c.who.String(), func(t *testing.T) {
			inWorld(t, 2, func(w *world) {
				var status atomic.Uint32
				status.Store(uint32(wire.OK))
				w.standIn(&status)
				w.watches()
				time.Sleep(time.Second)
				w.sees(health.Answers)
				w.nodes[0].finds(c.who)
				status.Store(uint32(c.status))
				if c.after > heartbeatEvery {
					time.Sleep(failuresCount - 10*time.Millisecond)
					w.sees(health.Answers)
				}
				time.Sleep(c.after + 50*time.Millisecond) // a round trip, and the time of a retry
				w.sees(c.want)
				time.Sleep(5 * time.Second)
				w.sees(c.want)
				status.Store(uint32(wire.OK))
				time.Sleep(heartbeatEvery)
				w.sees(health.Answers)
			})
		})
	}
}

// Replies that cannot be read are not a member's.
func TestWhatIsNoHeartbeatIsNoAnswer(t *testing.T) {
	for name, reply := range map[string][]byte{
		"nothing":      {},
		"no report":    wire.AppendReply(nil, wire.OK, 1, 0, firstEpoch),
		"too much":     append(wire.AppendHeartbeat(wire.AppendReply(nil, wire.OK, 1, 0, firstEpoch), new(wire.MemberReport)), 1),
		"another form": []byte("HTTP/1.1 400 Bad Request"),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 2, func(w *world) {
				w.answers(w.nodes[1].address(), func([]byte) []byte { return reply })
				w.watches()
				time.Sleep(time.Second)
				if got := w.nodes[0].present.Load().Reach(1); got != health.Elsewhere && got != health.Silent {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

// A member that is behind is brought up to date, and counts all the while. One that cannot be
// brought up to date does not count for longer than its last answer.
func TestAHeartbeatUpdatesAMemberThatIsBehind(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.watches()
		time.Sleep(time.Second)
		m, behind := w.nodes[0], w.nodes[1]
		w.begin(firstEpoch+1, 0)
		for range 100 {
			time.Sleep(11 * time.Millisecond)
			w.knows(0, 1, health.Answers)
			w.knows(1, 0, health.Answers)
		}
		if e := behind.Current().Epoch; e != firstEpoch+1 {
			t.Errorf("the other member is at epoch %d", e)
		}
		m.mu.Lock()
		m.fruitless = true
		m.mu.Unlock()
		w.begin(firstEpoch+2, 0)
		time.Sleep(contactValid + heartbeatEvery)
		w.knows(0, 1, health.Silent)
		w.begin(firstEpoch+2, 1)
		time.Sleep(heartbeatEvery)
		w.sees(health.Answers)
	})
}

// A member that is behind learns the epoch from the first heartbeat that is refused. It learns it
// once.
func TestAHeartbeatTeachesItsSender(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		m, ahead := w.nodes[0], w.nodes[1]
		ahead.slow = true // it does not update the first member by itself
		w.watches()
		time.Sleep(time.Second)
		w.begin(firstEpoch+1, 1)
		time.Sleep(heartbeatEvery + 10*time.Millisecond)
		m.mu.Lock()
		learned := strings.Join(m.learned, ", ")
		m.mu.Unlock()
		if learned != "epoch 6" {
			t.Errorf("learned %q", learned)
		}
		w.begin(firstEpoch+1, 0)
		time.Sleep(10 * time.Millisecond)
		w.sees(health.Answers)
		w.knows(1, 0, health.Answers)
	})
}

// What is known of a member outlives an epoch, but neither the member's process nor the cluster.
func TestAContactIsOfOneProcessInOneCluster(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		m.present.Load().Beat(w.soon())
		w.net.Cut(m.address(), w.nodes[2].address())
		m.present.Load().missed(2, w.nodes[2].incarnation(), health.NoConnection)
		time.Sleep(failuresCount)
		m.present.Load().missed(2, w.nodes[2].incarnation(), health.NoConnection)
		for e := firstEpoch + 1; e < firstEpoch+4; e++ {
			w.begin(e)
			w.sees(health.Answers)
			w.knows(0, 2, health.NoConnection)
			if m.client.Likely(m.Current(), 2) {
				t.Error("a member that is away is likely to answer, at the next epoch")
			}
		}
		v := m.Current()
		for _, i := range []int{1, 2} {
			v.Members[i].Incarnation++ // another process has the slot
			w.knows(0, i, health.Unheard)
			if !m.client.Likely(v, i) {
				t.Errorf("member %d: a new process is taken for the one before", i)
			}
			v.Members[i].Incarnation--
			v.Cluster++
			w.knows(0, i, health.Unheard)
			v.Cluster--
			m.present.Load().Self = 0 // a node that has left sends no heartbeats
			w.knows(0, i, health.Unheard)
			m.present.Load().Self = m.incarnation()
			v.Members[i].Incarnation = 0
			w.knows(0, i, health.Unheard) // the slot has no process
		}
	})
}

// A heartbeat that is cut short, since the epoch or the node ends, shows nothing.
func TestAHeartbeatThatIsCutShortShowsNothing(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		e := w.nodes[0].present.Load()
		w.net.Pause(w.nodes[1].address())
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		e.Beat(ctx)
		if c := e.links[1].contact.Load(); c != nil {
			t.Errorf("%+v", c)
		}
		w.net.Resume(w.nodes[1].address())
		time.Sleep(time.Second)
		e.Beat(w.soon())
		w.sees(health.Answers)
		w.net.Pause(w.nodes[1].address())
		for range 50 { // as when one epoch follows another
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
			e.Beat(ctx)
			cancel()
			w.knows(0, 1, health.Answers)
		}
	})
}

// Watch ends with its epoch, its context or its membership, and leaves nothing behind. A membership
// that is over knows nothing of the others.
func TestWatchEndsWithItsEpoch(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		ended := 0
		watch := func(ctx context.Context) {
			go func() {
				w.nodes[0].present.Load().Watch(ctx)
				ended++
			}()
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(context.Background())
		watch(ctx)
		w.net.Pause(w.nodes[1].address()) // one heartbeat is under way at the end
		time.Sleep(700 * time.Millisecond)
		w.begin(firstEpoch + 1)
		synctest.Wait()
		if ended != 1 {
			t.Fatal("Watch goes on after its epoch")
		}
		watch(ctx)
		time.Sleep(700 * time.Millisecond)
		cancel()
		synctest.Wait()
		if ended != 2 {
			t.Fatal("Watch goes on after its context")
		}
		watch(context.Background())
		time.Sleep(700 * time.Millisecond)
		w.knows(0, 2, health.Answers)
		w.nodes[0].Seal()
		synctest.Wait()
		if ended != 3 {
			t.Fatal("Watch goes on after its membership")
		}
		w.knows(0, 2, health.Unheard)
	})
}

// A heartbeat goes to each member every half a second, more often to one that is away, and to none
// without a process. A node that is no member sends none.
func TestHowOftenHeartbeatsAreSent(t *testing.T) {
	in := func(name string, least, most int, change func(w *world, y *way)) {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 2, func(w *world) {
				y := w.through()
				change(w, y)
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				w.nodes[0].present.Load().Watch(ctx)
				if n := y.sent(wire.Heartbeat); n < least || n > most {
					t.Errorf("%d heartbeats in ten seconds, want %d to %d", n, least, most)
				}
			})
		})
	}
	in("it answers", 19, 20, func(*world, *way) {})
	in("no connection", 50, 65, func(w *world, y *way) { y.stop(w.nodes[1].address()) })
	in("silent", 8, 10, func(w *world, _ *way) { w.net.Pause(w.nodes[1].address()) })
	in("no process", 0, 0, func(w *world, _ *way) { w.nodes[0].Current().Members[1] = replica.Member{Name: "n2"} })
	in("no member", 0, 0, func(w *world, _ *way) { w.nodes[0].present.Load().Self = 0 })
}

// Heartbeats tell how each member's memory stands, half a second after it has changed at the
// latest. That a member has come to its limit stops sets everywhere.
func TestHeartbeatsTellOfMemory(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.watches()
		time.Sleep(time.Second)
		for _, i := range []int{0, 2} {
			if Full(w.nodes[i].Current(), 1) {
				t.Errorf("member %d takes an empty member for full", i)
			}
		}
		for i := range 1 << 20 {
			if w.nodes[1].store.Full() {
				break
			}
			w.nodes[1].put(fmt.Sprint(i), 1, strings.Repeat("v", 1000))
		}
		time.Sleep(heartbeatEvery + 10*time.Millisecond)
		for _, i := range []int{0, 2} {
			if !Full(w.nodes[i].Current(), 1) || Full(w.nodes[i].Current(), 2-i) {
				t.Errorf("member %d does not know who is full", i)
			}
		}
	}, func(m *member) {
		if m.i == 1 {
			m.maxBytes = 1 << 20
		}
	})
}

package peer

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"viakv/node/wire"
)

// Members tell each other the state of their memory, in both directions at once. A report counts
// for memoryValid.
func TestMembersTellOfTheirMemory(t *testing.T) {
	const limit = 1
	inWorld(t, 3, func(w *world) {
		m, full := w.nodes[0], w.nodes[1]
		full.put("k", 1, "v")
		if own := full.present.Load().OwnMemory(); !own.Full || own.Limit != limit {
			t.Fatalf("a member at its limit: %+v", own)
		}
		if Full(m.Current(), 1) || m.present.Load().Memory(1) != nil {
			t.Error("a member's memory counts before it has reported it")
		}
		m.present.Load().Beat(w.soon())
		if !Full(m.Current(), 1) || Full(m.Current(), 2) {
			t.Errorf("%+v, %+v", m.present.Load().Memory(1), m.present.Load().Memory(2))
		}
		if r := full.present.Load().Memory(0); r == nil || r.Full || r.Limit != 0 {
			t.Errorf("the member that was told knows %+v of the member that told it", r)
		}
		if r := m.present.Load().Memory(0); r == nil || r.Full {
			t.Errorf("a node knows %+v of itself", r)
		}
		v := *m.Current()
		m.Current().Members[1].Incarnation++ // another process has taken the slot
		if Full(m.Current(), 1) {
			t.Error("the report of one incarnation counts for another")
		}
		m.Current().Members[1].Incarnation--
		time.Sleep(memoryValid + time.Millisecond)
		if Full(&v, 1) {
			t.Error("a report counts for longer than memoryValid")
		}
	}, func(m *member) {
		if m.i == 1 {
			m.maxBytes = limit
		}
	})
}

// A member that is still copying is told of the others' memory, and tells them of its own.
func TestAMemberThatCopiesTellsOfItsMemory(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.nodes[1].pending = true
		w.begin(firstEpoch + 1)
		w.nodes[0].present.Load().Beat(w.soon())
		if w.nodes[0].present.Load().Memory(1) == nil || w.nodes[1].present.Load().Memory(0) == nil {
			t.Errorf("%+v, %+v", w.nodes[0].present.Load().Memory(1), w.nodes[1].present.Load().Memory(0))
		}
	})
}

// A member that cannot be reached delays a round by heartbeatPatience only. A member that is ahead
// teaches its epoch.
func TestTellingOfMemoryAcrossFaults(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		w.net.Pause(w.nodes[1].address())
		w.begin(firstEpoch+1, 2)
		began := time.Now()
		m.present.Load().Beat(w.soon())
		if took := time.Since(began); took != heartbeatPatience {
			t.Errorf("the round took %v", took)
		}
		if len(m.learned) != 1 || m.present.Load().Memory(2) != nil {
			t.Errorf("learned %q, and knows %+v of a member that refused", m.learned, m.present.Load().Memory(2))
		}
		w.answers(w.nodes[1].address(), func([]byte) []byte { return wire.AppendReply(nil, wire.OK, 1, firstEpoch) })
		w.answers(w.nodes[2].address(), func([]byte) []byte { return nil })
		m.present.Load().Beat(w.soon())
		if m.present.Load().Memory(1) != nil || m.present.Load().Memory(2) != nil {
			t.Error("a malformed reply counts as a report")
		}
	})
}

// The log says that another member has reached its limit, and that it is below the limit again, but
// at most every ten seconds.
func TestTheLogTellsOfLimitsNowAndThen(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	inWorld(t, 2, func(w *world) {
		e := w.nodes[0].present.Load()
		for range 50 {
			for _, full := range []bool{true, false} {
				e.observeMemory(w.nodes[1].incarnation(), wire.MemoryReport{Full: full})
				time.Sleep(100 * time.Millisecond)
			}
		}
		if n := logs.Len(); n != 1 {
			t.Errorf("%d lines within ten seconds", n)
		}
		time.Sleep(noticeEvery)
		e.observeMemory(w.nodes[1].incarnation(), wire.MemoryReport{})
		// A report under the node's own incarnation is ignored.
		e.observeMemory(w.nodes[0].incarnation(), wire.MemoryReport{Full: true})
		if lines := logs.All(); len(lines) != 2 || lines[1].ContextMap()["member"] != "n2" {
			t.Errorf("%v", lines)
		}
	}, func(m *member) { m.log = zap.New(core) })
}

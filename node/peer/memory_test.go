package peer

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"viakv/api/kv"
	"viakv/node/wire"
)

// Members tell each other the state of their memory, in both directions at once. A report counts
// for reportValid.
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
		time.Sleep(reportValid + time.Millisecond)
		if Full(&v, 1) {
			t.Error("a report counts for longer than reportValid")
		}
	}, func(m *member) {
		if m.i == 1 {
			m.maxBytes = limit
		}
	})
}

// Members tell each other what they have counted, in both directions at once. Figures count as long
// as the report that has brought them, and for the process that has told them.
func TestMembersTellOfTheirFigures(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		e := w.nodes[0].present.Load()
		if f := e.Figures(1); f != nil {
			t.Errorf("%+v before there is a report", f)
		}
		e.Beat(w.soon())
		if f := e.Figures(1); f == nil || f.Process != 11 || f.ReadsAnswered != 1 || time.Since(f.At) > time.Second {
			t.Errorf("of the member that answered: %+v", f)
		}
		if f := w.nodes[2].present.Load().Figures(0); f == nil || f.Process != 10 || f.ReadsAnswered != 0 {
			t.Errorf("of the member that asked: %+v", f)
		}
		if f := w.nodes[1].present.Load().Figures(2); f != nil {
			t.Errorf("of a member that has told nothing: %+v", f)
		}
		e.View.Members[1].Incarnation++ // another process has taken the slot
		if f := e.Figures(1); f != nil {
			t.Errorf("the figures of one process count for another: %+v", f)
		}
		time.Sleep(reportValid + time.Millisecond)
		if f := e.Figures(2); f != nil {
			t.Errorf("%+v count for longer than the report", f)
		}
	}, func(m *member) {
		m.figures = func() kv.Figures { return kv.Figures{Process: uint64(10 + m.i), ReadsAnswered: uint64(m.i)} }
	})
}

// A member without figures tells none.
func TestAMemberMayHaveNoFigures(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		e := w.nodes[0].present.Load()
		e.Beat(w.soon())
		if f := e.Figures(1); f != nil || e.Memory(1) == nil {
			t.Errorf("%+v, %+v", f, e.Memory(1))
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
		w.answers(w.nodes[1].address(), func([]byte) []byte { return wire.AppendReply(nil, wire.OK, 1, 0, firstEpoch) })
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
				e.observe(w.nodes[1].incarnation(), &wire.MemberReport{MemoryReport: wire.MemoryReport{Full: full}})
				time.Sleep(100 * time.Millisecond)
			}
		}
		if n := logs.Len(); n != 1 {
			t.Errorf("%d lines within ten seconds", n)
		}
		time.Sleep(noticeEvery)
		e.observe(w.nodes[1].incarnation(), new(wire.MemberReport))
		// A report under the node's own incarnation is ignored.
		e.observe(w.nodes[0].incarnation(), &wire.MemberReport{MemoryReport: wire.MemoryReport{Full: true}})
		if lines := logs.All(); len(lines) != 2 || lines[1].ContextMap()["member"] != "n2" {
			t.Errorf("%v", lines)
		}
	}, func(m *member) { m.log = zap.New(core) })
}

package peer

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"viakv/node/wire"
)

// Members tell each other how they stand, both ways at once, and what they have said counts for a
// while.
func TestMembersTellOfTheirMemory(t *testing.T) {
	const limit = 1
	inWorld(t, 3, func(w *world) {
		m, full := w.nodes[0], w.nodes[1]
		full.put("k", 1, "v")
		if own := full.Present().OwnMemory(); !own.Full || own.Limit != limit {
			t.Fatalf("a member at its limit: %+v", own)
		}
		if Full(m.Current(), 1) || m.Present().Memory(1) != nil {
			t.Error("it counts before it has said anything")
		}
		m.Present().TellMemory(w.soon())
		if !Full(m.Current(), 1) || Full(m.Current(), 2) {
			t.Errorf("%+v, %+v", m.Present().Memory(1), m.Present().Memory(2))
		}
		if r := full.Present().Memory(0); r == nil || r.Full || r.Limit != 0 {
			t.Errorf("the one that was told knows %+v of who has told it", r)
		}
		if r := m.Present().Memory(0); r == nil || r.Full {
			t.Errorf("of itself a node knows %+v", r)
		}
		v := *m.Current()
		m.Current().Members[1].Incarnation++ // another process has its place
		if Full(m.Current(), 1) {
			t.Error("what one incarnation has said counts for another")
		}
		m.Current().Members[1].Incarnation--
		time.Sleep(memoryValid + time.Millisecond)
		if Full(&v, 1) {
			t.Error("it counts for ever")
		}
	}, func(m *member) {
		if m.i == 1 {
			m.maxBytes = limit
		}
	})
}

// A member that copies yet is told, and tells.
func TestAMemberThatCopiesTellsOfItsMemory(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.nodes[1].pending = true
		w.begin(firstEpoch + 1)
		w.nodes[0].Present().TellMemory(w.soon())
		if w.nodes[0].Present().Memory(1) == nil || w.nodes[1].Present().Memory(0) == nil {
			t.Errorf("%+v, %+v", w.nodes[0].Present().Memory(1), w.nodes[1].Present().Memory(0))
		}
	})
}

// A member that cannot be reached holds nobody up for long, and one that is ahead teaches its
// epoch.
func TestTellingOfMemoryAcrossFaults(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		w.net.Pause(w.nodes[1].address())
		w.begin(firstEpoch+1, 2)
		began := time.Now()
		m.Present().TellMemory(w.soon())
		if took := time.Since(began); took != memoryPatience {
			t.Errorf("it took %v", took)
		}
		if len(m.learned) != 1 || m.Present().Memory(2) != nil {
			t.Errorf("learned %q, and of one that refused it knows %+v", m.learned, m.Present().Memory(2))
		}
		w.answers(w.nodes[1].address(), func([]byte) []byte { return wire.AppendReply(nil, wire.OK, 1, firstEpoch) })
		w.answers(w.nodes[2].address(), func([]byte) []byte { return nil })
		m.Present().TellMemory(w.soon())
		if m.Present().Memory(1) != nil || m.Present().Memory(2) != nil {
			t.Error("nonsense counts")
		}
	})
}

// The log says that another member has reached its limit, and that it is below again, and not more
// often than every ten seconds.
func TestTheLogTellsOfLimitsNowAndThen(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	inWorld(t, 2, func(w *world) {
		e := w.nodes[0].Present()
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
		e.observeMemory(w.nodes[0].incarnation(), wire.MemoryReport{Full: true}) // nobody tells a node of itself
		if lines := logs.All(); len(lines) != 2 || lines[1].ContextMap()["member"] != "n2" {
			t.Errorf("%v", lines)
		}
	}, func(m *member) { m.log = zap.New(core) })
}

package peer

import (
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
)

// knowsOf checks below which number a member knows the records of an incarnation to be complete.
func (m *member) knowsOf(t *testing.T, i version.Incarnation, below uint64) {
	t.Helper()
	before, at := version.Operation{Incarnation: i, Sequence: below - 1}, version.Operation{Incarnation: i, Sequence: below}
	if below > 1 && !m.Marks.Complete(before) || m.Marks.Complete(at) {
		t.Errorf("%s does not know incarnation %d to be complete below %d", m.name(), i, below)
	}
}

// L6: watermarks travel on requests and on replies, whatever these are about. Members have room for
// each other's, however many are known of members that are gone.
func TestWatermarksTravel(t *testing.T) {
	for name, ask := range map[string]func(w *world){
		"a question": func(w *world) { _, _ = Of(w.nodes[0].Current()).Holding(w.soon(), 1) },
		"a read":     func(w *world) { _, _, _ = w.nodes[0].coordinator.Get(w.soon(), nil, []byte("key"), kv.Options{}) },
		"heartbeat":  func(w *world) { w.nodes[0].present.Load().Beat(w.soon()) },
	} {
		inWorld(t, 3, func(w *world) {
			for i := range version.Incarnation(watermark.MaxMarks) {
				w.nodes[0].Marks.Learn(1000+i, 5)
			}
			w.nodes[0].Counter.Observe(100)
			w.nodes[0].Counter.Take() // 101 stays open
			w.nodes[1].Counter.Observe(200)
			w.nodes[1].Counter.Take()
			t.Log(name)
			ask(w)
			w.nodes[1].knowsOf(t, w.nodes[0].incarnation(), 101)
			w.nodes[0].knowsOf(t, w.nodes[1].incarnation(), 201)
		})
	}
}

// L7: a replica that knows its record to be complete says so. The read then sends the record only
// to whom it was found to lack.
func TestAReplicaConfirmsItsRecord(t *testing.T) {
	for _, complete := range []bool{false, true} {
		inWorld(t, 3, func(w *world) {
			held := w.nodes[1].put("k", 7, "v")
			if complete {
				w.nodes[1].Marks.Learn(held.Tag.Incarnation, 8)
			}
			value, _, err := w.nodes[0].coordinator.Get(w.soon(), nil, []byte("k"), kv.Options{})
			if string(value) != "v" || err != nil {
				t.Errorf("read %q, %v", value, err)
			}
			time.Sleep(time.Second)
			if here, third := w.nodes[0].holds("k"), w.nodes[2].holds("k"); here != "v" || (third == "") != complete {
				t.Errorf("complete: %v; the reader holds %q, the one that was not asked %q", complete, here, third)
			}
		})
	}
}

// What answers at the address of a member is perhaps another process.
func TestARefusalTeachesNoWatermark(t *testing.T) {
	for _, status := range []wire.Status{wire.WrongDestination, wire.WrongCluster, wire.Behind, wire.Stale, wire.Malformed} {
		inWorld(t, 2, func(w *world) {
			w.answers(w.nodes[1].address(), func([]byte) []byte { return wire.AppendReply(nil, status, 50, 50, firstEpoch) })
			w.nodes[0].present.Load().Beat(w.soon())
			_, _ = Of(w.nodes[0].Current()).Holding(w.soon(), 1)
			_, _, _ = w.nodes[0].coordinator.Get(w.soon(), nil, []byte("key"), kv.Options{})
			w.nodes[0].knowsOf(t, w.nodes[1].incarnation(), 1)
		})
	}
}

// L8: members hand on the watermarks of incarnations that are gone, in both directions.
func TestWatermarksOfTheDepartedAreHandedOn(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		const gone, older = 1 << 20, 1<<20 - 1
		w.nodes[0].Marks.Learn(gone, 7)
		w.nodes[1].Marks.Learn(older, 9)
		w.nodes[0].present.Load().Beat(w.soon())
		w.nodes[1].knowsOf(t, gone, 7)
		w.nodes[0].knowsOf(t, older, 9)
		w.nodes[2].knowsOf(t, gone, 7)
		for _, mark := range w.nodes[0].present.Load().ownReport().Departed {
			if mark.Incarnation != gone && mark.Incarnation != older {
				t.Errorf("%d is told of as gone", mark.Incarnation)
			}
		}
	})
}

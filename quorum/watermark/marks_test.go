package watermark

import (
	"sync"
	"testing"

	"viakv/quorum/version"
)

func number(i version.Incarnation, n uint64) version.Operation {
	return version.Operation{Incarnation: i, Sequence: n}
}

func TestWatermarksOnlyRise(t *testing.T) {
	var m Marks
	if m.Complete(number(7, 1)) {
		t.Error("a record of an unknown incarnation is complete")
	}
	for _, below := range []uint64{5, 9, 3, 0} {
		m.Learn(7, below)
	}
	m.Learn(0, 100)
	for n, want := range map[uint64]bool{8: true, 9: false, 10: false} {
		if m.Complete(number(7, n)) != want {
			t.Errorf("%d: %v", n, !want)
		}
	}
	if m.Complete(version.Contested) {
		t.Error("nothing is complete")
	}
	known := map[version.Incarnation]uint64{}
	m.Each(func(mark Mark) { known[mark.Incarnation] = mark.Below })
	if len(known) != 1 || known[7] != 9 {
		t.Errorf("knows %v", known)
	}
}

// What is above the watermark of an incarnation is complete where this node has seen it so.
func TestWhatWasSeenComplete(t *testing.T) {
	var m Marks
	m.Learn(7, 5)
	m.Saw(number(7, 8))
	if !m.Complete(number(7, 8)) || m.Complete(number(7, 7)) || m.Complete(number(8, 8)) {
		t.Error("it remembers something else than it saw")
	}
	for n := range uint64(maxSeen) {
		m.Saw(number(9, n))
	}
	if len(m.seen) != maxSeen {
		t.Errorf("it remembers %d records", len(m.seen))
	}
}

// L8: the watermark of an incarnation that is gone stays what it was. What lies above is not known
// to be complete, and never becomes so by the departure.
func TestTheDepartedKeepTheirWatermark(t *testing.T) {
	var m Marks
	m.Enter([]version.Incarnation{1, 2})
	m.Learn(1, 5)
	for range 2 {
		m.Enter([]version.Incarnation{2, 3})
		for n, want := range map[uint64]bool{4: true, 5: false, 1 << 60: false} {
			if m.Complete(number(1, n)) != want {
				t.Errorf("record %d of the departed: complete %v", n, !want)
			}
		}
	}
	if m.Learn(1, 6); !m.Complete(number(1, 5)) || m.Complete(number(1, 6)) {
		t.Error("what another member knows of the departed is not learned")
	}
}

// Members always have room, however many incarnations are known that are gone: their watermarks
// cost nothing, and the oldest of the others are forgotten.
func TestMembersHaveRoom(t *testing.T) {
	var m Marks
	m.Learn(5, 2)
	for i := range version.Incarnation(2 * MaxMarks) {
		m.Learn(100+i, 3)
	}
	m.Enter([]version.Incarnation{1, 2000, 3000})
	if n := testing.AllocsPerRun(100, func() {
		m.Learn(1, 1000)
		m.Learn(3001, 1) // no member
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	m.Learn(3000, 7)
	for i, below := range map[version.Incarnation]uint64{1: 1000, 3000: 7, 2000: 0, 5: 0, 100: 0, 3001: 0, 1122: 3} {
		if m.Complete(number(i, below)) || below > 0 && !m.Complete(number(i, below-1)) {
			t.Errorf("incarnation %d is not known to be complete below %d", i, below)
		}
	}
	known := 0
	m.Each(func(mark Mark) {
		known++
		if mark.Below == 0 {
			t.Errorf("an empty watermark, of %d", mark.Incarnation)
		}
	})
	if known != MaxMarks-1 {
		t.Errorf("%d watermarks", known)
	}
}

// There is no room for more than MaxMarks, whoever learns them at the same time.
func TestWatermarksAreBounded(t *testing.T) {
	var m Marks
	var all sync.WaitGroup
	for w := range 2 {
		all.Go(func() {
			for i := range version.Incarnation(MaxMarks + 10) {
				m.Learn(2*i+version.Incarnation(w)+1, 3)
			}
		})
	}
	all.Wait()
	n := 0
	m.Each(func(Mark) { n++ })
	if n != MaxMarks || !m.Complete(number(1, 2)) {
		t.Errorf("%d watermarks are known", n)
	}
}

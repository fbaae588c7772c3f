package watermark

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"viakv/quorum/version"
)

// Marks is what a node knows of the watermarks of others. The zero value knows nothing. It is safe
// for concurrent use.
type Marks struct {
	known atomic.Pointer[map[version.Incarnation]*atomic.Uint64]
	grow  sync.Mutex // held while known is replaced

	mu sync.RWMutex
	// seen holds records above their coordinators' watermarks that this node has seen complete.
	seen map[version.Operation]struct{}
}

// Mark is the watermark of an incarnation.
type Mark struct {
	Incarnation version.Incarnation
	Below       uint64 // each of its records with a number below this one is complete
}

// MaxMarks bounds how many incarnations' watermarks are kept. Each restart of a node makes one
// more. The oldest of those that are gone are forgotten: their records are then asked for, as those
// of an unknown coordinator.
const MaxMarks = 1024

// maxSeen bounds Marks.seen. When it is full, each new one takes the place of another, which is
// asked for once more.
const maxSeen = 1 << 16

// Enter makes room for the watermarks of a view's members.
func (m *Marks) Enter(members []version.Incarnation) {
	m.grow.Lock()
	defer m.grow.Unlock()
	next := m.copyLocked()
	for _, i := range members {
		if next[i] == nil {
			next[i] = new(atomic.Uint64)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(next)) {
		if len(next) > MaxMarks && !slices.Contains(members, i) {
			delete(next, i)
		}
	}
	m.known.Store(&next)
}

// Learn takes a watermark in. Watermarks may arrive in any order. It learns nothing of further
// incarnations that are no members once it knows MaxMarks.
func (m *Marks) Learn(i version.Incarnation, below uint64) {
	if i == 0 || below == 0 {
		return
	}
	mark := m.of(i)
	if mark == nil {
		if mark = m.add(i); mark == nil {
			return
		}
	}
	for {
		now := mark.Load()
		if below <= now || mark.CompareAndSwap(now, below) {
			return
		}
	}
}

// of returns the place of an incarnation's watermark, and nil when it has none.
func (m *Marks) of(i version.Incarnation) *atomic.Uint64 {
	if known := m.known.Load(); known != nil {
		return (*known)[i]
	}
	return nil
}

// add makes a place for the watermark of an incarnation that is perhaps no member, if there is
// room.
func (m *Marks) add(i version.Incarnation) *atomic.Uint64 {
	m.grow.Lock()
	defer m.grow.Unlock()
	if mark := m.of(i); mark != nil {
		return mark
	}
	if known := m.known.Load(); known != nil && len(*known) >= MaxMarks {
		return nil
	}
	next := m.copyLocked()
	next[i] = new(atomic.Uint64)
	m.known.Store(&next)
	return next[i]
}

func (m *Marks) copyLocked() map[version.Incarnation]*atomic.Uint64 {
	next := map[version.Incarnation]*atomic.Uint64{}
	if known := m.known.Load(); known != nil {
		maps.Copy(next, *known)
	}
	return next
}

// Complete reports whether a record is known to be complete, by its coordinator's watermark or
// because this node has seen it complete.
func (m *Marks) Complete(number version.Operation) bool {
	if mark := m.of(number.Incarnation); mark != nil && number.Sequence < mark.Load() {
		return true
	}
	return m.Seen(number)
}

// Saw remembers a record that this node has seen complete. Its coordinator's watermark may lag, and
// stays where it is when the coordinator is gone.
func (m *Marks) Saw(number version.Operation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.seen = map[version.Operation]struct{}{}
	}
	for other := range m.seen {
		if len(m.seen) < maxSeen {
			break
		}
		delete(m.seen, other)
	}
	m.seen[number] = struct{}{}
}

// Seen reports whether this node remembers having seen a record complete.
func (m *Marks) Seen(number version.Operation) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, ok := m.seen[number]
	return ok
}

// Each calls f for the known watermarks, in no order.
func (m *Marks) Each(f func(Mark)) {
	if known := m.known.Load(); known != nil {
		for i, mark := range *known {
			if below := mark.Load(); below != 0 {
				f(Mark{i, below})
			}
		}
	}
}

package handoff

import (
	"sync"

	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// hints is, for each member, the bounded set of keys that it missed (H4). The goroutine that reads
// from the network notes the hints. So nothing here blocks, and a key that is already noted costs
// no allocation.
type hints struct {
	limit int

	mu         sync.Mutex
	sets       map[version.Incarnation]*hintSet
	generation version.Generation
	newest     version.Incarnation // the highest incarnation that a view has shown
}

type hintSet struct {
	keys     map[string]struct{}
	inFlight int  // keys that were taken and are being sent
	overflow bool // keys were dropped: only a repair with the member helps
}

func newHints(limit int) *hints {
	return &hints{limit: limit, sets: map[version.Incarnation]*hintSet{}}
}

// miss notes that a member missed a key.
func (h *hints) miss(i version.Incarnation, key []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sets[i]
	if s == nil {
		s = &hintSet{keys: map[string]struct{}{}}
		h.sets[i] = s
	}
	if s.overflow {
		return
	}
	if _, noted := s.keys[string(key)]; noted {
		return
	}
	if len(s.keys) >= h.limit {
		s.overflow, s.keys = true, nil
		return
	}
	s.keys[string(key)] = struct{}{}
}

// take removes up to n keys of a member and appends them to dst. They still count until sent is
// called. A caller that fails to send them notes them again.
func (h *hints) take(i version.Incarnation, n int, dst []string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sets[i]
	if s == nil {
		return dst
	}
	for k := range s.keys {
		if n == 0 {
			break
		}
		n--
		dst = append(dst, k)
		delete(s.keys, k)
		s.inFlight++
	}
	return dst
}

// sent ends the sending of n keys, successful or not.
func (h *hints) sent(i version.Incarnation, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sets[i]
	if s == nil { // dropped meanwhile
		return
	}
	s.inFlight = max(0, s.inFlight-n)
	if len(s.keys)+s.inFlight == 0 && !s.overflow {
		delete(h.sets, i)
	}
}

// collapse reports whether keys of the member exceeded the bound and were dropped, and begins to
// note keys anew. The caller runs a repair, which makes up for the dropped keys. It runs the repair
// again if that fails.
func (h *hints) collapse(i version.Incarnation) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sets[i]
	if s == nil || !s.overflow {
		return false
	}
	delete(h.sets, i)
	return true
}

// count returns how many keys are noted for a member, and whether keys were dropped.
func (h *hints) count(i version.Incarnation) (n int, overflow bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sets[i]; s != nil {
		return len(s.keys) + s.inFlight, s.overflow
	}
	return 0, false
}

// prune drops the hints that no later replay needs: those from before a clear, and those of members
// that are gone. An incarnation above all that were ever known stays. It may belong to an epoch
// that this node has not adopted yet.
func (h *hints) prune(v *replica.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.newest = max(h.newest, v.Me().Holder())
	for m := range v.Others() {
		h.newest = max(h.newest, m.Holder())
	}
	if h.generation != v.Generation {
		h.generation = v.Generation
		clear(h.sets)
		return
	}
	for i := range h.sets {
		if !has(v, i) && i <= h.newest {
			delete(h.sets, i)
		}
	}
}

package handoff

import (
	"sync"

	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// hints is, for each member, the bounded set of keys that it missed (H4). Nothing in it blocks, and
// a key that is noted already costs no allocation: notes are taken in the goroutine that reads from
// the network.
type hints struct {
	limit int

	mu         sync.Mutex
	sets       map[version.Incarnation]*hintSet
	generation version.Generation
	newest     version.Incarnation // that a view has shown
}

type hintSet struct {
	keys     map[string]struct{}
	flying   int  // keys that were taken and have not landed
	overflow bool // keys were not noted: only a repair with the member helps
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

// take removes up to n keys of a member and appends them to dst. They count until they have landed;
// whoever fails to deliver them notes them again.
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
		s.flying++
	}
	return dst
}

// landed ends the flight of n keys.
func (h *hints) landed(i version.Incarnation, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sets[i]
	if s == nil { // dropped meanwhile
		return
	}
	s.flying = max(0, s.flying-n)
	if len(s.keys)+s.flying == 0 && !s.overflow {
		delete(h.sets, i)
	}
}

// collapse reports whether keys of the member were lost to the bound, and begins to note them anew:
// the caller runs a repair that makes up for those lost, and runs it again should it fail.
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

// count returns how many keys are noted for a member, and whether there are more that are not.
func (h *hints) count(i version.Incarnation) (n int, overflow bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sets[i]; s != nil {
		return len(s.keys) + s.flying, s.overflow
	}
	return 0, false
}

// prune drops what no later repair needs: everything from before a clear, and what members missed
// that are gone. An incarnation above all that were ever known may be one of an epoch that this
// node has not adopted yet; it stays.
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

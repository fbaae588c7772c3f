package health

import (
	"fmt"
	"slices"
	"strings"
)

// Loss says why acknowledged writes may be lost. Every acknowledged write is on W of N members, so
// any N-W+1 full copies together have all of them. With fewer at hand, a write may be on none.
type Loss struct {
	N, W   int
	Copies int // full copies at hand
	Need   int // N-W+1
	// Lost are members whose copies will not come back: the one that is removed, and those whose
	// memory is lost.
	Lost []string
	Away []string // members that do not answer, and may still have their copies
}

// Loss returns what may be lost when those that do not answer never come back and a member is
// removed without the others' consent. An empty name stands for nobody. Nil: nothing.
func (v *Verdict) Loss(removed string) *Loss {
	l := &Loss{N: v.N, W: v.W, Copies: v.Answering, Need: v.CopiesNeed, Lost: slices.Clone(v.Lost)}
	for _, name := range v.Away {
		if name != removed {
			l.Away = append(l.Away, name)
		}
	}
	if removed != "" && !slices.Contains(l.Lost, removed) {
		l.Lost = append(l.Lost, removed)
		if !slices.Contains(v.Away, removed) {
			l.Copies--
		}
	}
	if l.Copies >= l.Need {
		return nil
	}
	return l
}

// String says what may be lost.
func (l *Loss) String() string {
	text := fmt.Sprintf("writes acknowledged by %d of %d members may be lost: %d full %s at hand, and %d would rule that out",
		l.W, l.N, l.Copies, one(l.Copies, "copy is", "copies are"), l.Need)
	var parts []string
	if len(l.Lost) > 0 {
		parts = append(parts, "what only "+list(l.Lost)+" held is gone")
	}
	if len(l.Away) > 0 {
		parts = append(parts, list(l.Away)+" may still bring back what "+one(len(l.Away), "it holds", "they hold"))
	}
	if len(parts) == 0 {
		return text
	}
	return text + "; " + strings.Join(parts, ", and ")
}

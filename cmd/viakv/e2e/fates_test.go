package e2e

import (
	"slices"
	"strings"
)

// fate is what happens to one node of a cluster.
type fate uint8

const (
	untouched fate = iota
	cutOff         // it runs, and nothing passes between it and the others
	paused         // it stands still, and keeps its memory
	killed         // and stays away
	restarted      // killed, and started again, empty

	manyFates // there are so many
)

func (f fate) String() string {
	return [...]string{"untouched", "cut", "paused", "killed", "restarted"}[f]
}

// fates are what happens to the nodes of one cluster.
type fates []fate

func (f fates) String() string {
	var names []string
	for _, one := range f {
		names = append(names, one.String())
	}
	return strings.Join(names, ",")
}

func (f fates) count(of fate) (n int) {
	for _, one := range f {
		if one == of {
			n++
		}
	}
	return n
}

// need is how many members a read, a write and a change of the members need.
func (f fates) need() int { return len(f)/2 + 1 }

// copies is how many full copies together hold all that was acknowledged.
func (f fates) copies() int { return len(f) - f.need() + 1 }

// serves reports whether a node serves in the end. Restarted nodes are let in again by a majority.
// If all were restarted, they found a new cluster.
func (f fates) serves(i int) bool {
	switch f[i] {
	case untouched:
		return f.count(untouched) >= f.need()
	case restarted:
		return f.count(untouched) >= f.need() || f.count(restarted) == len(f)
	}
	return false
}

// hears reports whether a node that is observed counts another one, or itself, as a member that
// answers in the end.
func (f fates) hears(i, j int) bool {
	switch {
	case f[i] == restarted && !f.serves(i):
		return false // it waits for admission, and knows of no members
	case i == j:
		return true
	case f[i] == cutOff:
		return false
	case f[j] == restarted:
		return f.serves(j)
	}
	return f[j] == untouched
}

// answering is how many members a node counts in the end.
func (f fates) answering(i int) (n int) {
	for j := range f {
		if f.hears(i, j) {
			n++
		}
	}
	return n
}

// leaves reports whether the leave of x, asked for at i, is possible in the end: a majority decides
// on it, the members that stay have a quorum, and they hold all that was acknowledged.
func (f fates) leaves(i, x int) bool {
	stay := f.answering(i)
	if f.hears(i, x) {
		stay--
	}
	return f.serves(i) && stay >= max((len(f)-1)/2+1, f.copies())
}

// observer returns the node at which an operator works: one that was not touched, or else one that
// is cut off. It returns -1 when there is none.
func (f fates) observer() int {
	if i := slices.Index(f, untouched); i >= 0 {
		return i
	}
	return slices.Index(f, cutOff)
}

// others returns the nodes other than i, those that are lost first.
func (f fates) others(i int) (all []int) {
	for _, lost := range []bool{true, false} {
		for j := range f {
			if j != i && f.hears(i, j) != lost {
				all = append(all, j)
			}
		}
	}
	return all
}

// laggards returns the living nodes that miss the last writes: as many as writes can do without,
// the observer first.
func (f fates) laggards() (all []int) {
	for _, of := range []fate{untouched, cutOff} {
		for i := range f {
			if f[i] == of && len(all) < len(f)-f.need() && f.observer() >= 0 && (of == untouched || f.observer() == i) {
				all = append(all, i)
			}
		}
	}
	return all
}

// everyFate returns what may happen to n nodes: every subset is killed, every subset of that is
// restarted, and beside that one more node at most is cut off or paused.
func everyFate(n int) (all []fates) {
	f := make(fates, n)
	for {
		if f.count(cutOff)+f.count(paused) <= 1 {
			all = append(all, slices.Clone(f))
		}
		i := 0
		for ; i < n; i++ {
			if f[i]++; f[i] < manyFates {
				break
			}
			f[i] = untouched
		}
		if i == n {
			return all
		}
	}
}

// fateOfEach returns one of everyFate for each number of nodes with each fate. Which node has which
// fate is another one from case to case.
func fateOfEach(n int) (all []fates) {
	for _, f := range everyFate(n) {
		if slices.IsSorted(f) {
			at := len(all) % n
			all = append(all, append(slices.Clone(f[at:]), f[:at]...))
		}
	}
	return all
}

package handoff

import (
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Basis is what the copies of a rebuild rest on: they count as long as the topology agrees with it
// (H3).
type Basis struct {
	Epoch      version.Epoch
	Generation version.Generation
	Purge      uint64
}

// basisOf returns the basis of the copies that are made at a view.
func basisOf(v *replica.View) Basis { return Basis{v.Epoch, v.Generation, v.Purge} }

// has reports whether another member has this incarnation.
func has(v *replica.View, i version.Incarnation) bool {
	for m := range v.Others() {
		if m.Holder() == i {
			return true
		}
	}
	return false
}

// named returns the other member of that name, or nil when there is none.
func named(v *replica.View, name string) *replica.Member {
	for m := range v.Others() {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// turnOf returns how many other active members come before this node by name. It does not count the
// member named by of, which the others repair.
func turnOf(v *replica.View, of string) (n int) {
	for m := range v.Others() {
		if m.Active() && m.Name < v.Me().Name && m.Name != of {
			n++
		}
	}
	return n
}

// preference lists the active other members in the order in which a partition prefers them.
func preference(v *replica.View, p keyspace.Partition) (out []*replica.Member) {
	for _, i := range v.Ring.Preference(p) {
		if m := &v.Members[i]; i != v.Self && m.Active() {
			out = append(out, m)
		}
	}
	return out
}

// complete reports whether all N slots are active and settled. Only in this state may tombstones be
// purged (G1).
func complete(v *replica.View) bool {
	for i := range v.Members[:v.Slots] {
		if !v.Members[i].Active() {
			return false
		}
	}
	return v.Settled
}

package version

import "viakv/quorum/version/rule"

// Record is one version of a key.
//
// Vector and Value are borrowed from the buffer that the record was decoded from. A caller that
// keeps a record longer than that buffer copies it with Clone.
type Record struct {
	Tag    Tag
	Owner  Operation // of a tombstone: the request that it was voted for, or Contested
	Vector Vector    // what the write had seen, without its own (Incarnation, Counter)
	Value  []byte    // nil in a tombstone
}

// Live reports whether the record holds a value.
func (r *Record) Live() bool { return r.Tag.Counter != 0 && !r.Tag.Removed }

// Number names the record by the number that its coordinator has given it: a value by its tag, and
// a tombstone by its owner. It is Contested for a tombstone that belongs to no request, and for the
// absence of a record.
func (r *Record) Number() Operation {
	if r.Tag.Removed && !rule.Broken(rule.OwnersMark) {
		return r.Owner
	}
	return Operation{r.Tag.Incarnation, r.Tag.Counter}
}

// Clone returns a copy that shares no memory with r.
func (r *Record) Clone() Record {
	c := *r
	c.Vector = append(Vector(nil), r.Vector...)
	c.Value = append([]byte(nil), r.Value...)
	return c
}

// Merge settles two copies of a key: the higher tag stays (V3). Copies of one tombstone that were
// voted for different requests become one that belongs to no request. Otherwise a replica that lost
// its memory could rebuild from a copy with another owner and so vote a second time. Then two
// overlapping removes would both succeed.
func Merge(a, b Record) Record {
	switch c := a.Tag.Compare(b.Tag); {
	case c < 0:
		return b
	case c == 0 && a.Tag.Removed && a.Owner != b.Owner && !rule.Broken(rule.Contested):
		a.Owner = Contested
	}
	return a
}

// Changes reports whether Merge changes a record with tag have and owner haveOwner, when a record
// with the given tag and owner is merged into it.
func Changes(have Tag, haveOwner Operation, tag Tag, owner Operation) bool {
	c := have.Compare(tag)
	return c < 0 || c == 0 && tag.Removed && haveOwner != Contested && haveOwner != owner && !rule.Broken(rule.Contested)
}

// Conflict reports whether two records are versions whose writers had not seen each other. It
// explains and never decides (V4).
func Conflict(a, b *Record) bool { return !a.saw(b.Tag) && !b.saw(a.Tag) }

// saw reports whether the writer of r had seen the version t. Every writer has seen its own
// version, "nothing was ever written" and all versions that a clear took away.
func (r *Record) saw(t Tag) bool {
	switch {
	case t.Counter == 0 || t.Generation < r.Tag.Generation:
		return true
	case r.Tag.Incarnation == t.Incarnation && r.Tag.Counter >= t.Counter:
		return true
	}
	return r.Vector.Counter(t.Incarnation) >= t.Counter
}

package version

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Vector is an encoded version vector: for each incarnation, the highest counter of its writes that
// the writer of the record had seen. It stays encoded (pairs of uvarints, ascending by
// incarnation), because a store holds millions of vectors and compares few.
//
// The incarnation that wrote the record is left out, since the tag holds its entry. So the vector
// of a key that only one node has written is empty.
type Vector []byte

// MaxVectorEntries is the largest number of entries of a vector. It bounds the metadata of a
// record. Where there are more, the entries with the lowest counters are dropped. Then an overwrite
// may be reported as a conflict. That has no other effect.
const MaxVectorEntries = 16

// MaxVectorBytes is the longest encoding of a vector.
const MaxVectorBytes = MaxVectorEntries * 2 * binary.MaxVarintLen64

// Entry is one pair of a vector.
type Entry struct {
	Incarnation Incarnation
	Counter     uint64
}

// Counter returns the counter of an incarnation, zero when the vector has no entry for it.
func (v Vector) Counter(i Incarnation) uint64 {
	for len(v) > 0 {
		e, n := v.next()
		if n == 0 || e.Incarnation > i {
			return 0
		}
		if e.Incarnation == i {
			return e.Counter
		}
		v = v[n:]
	}
	return 0
}

// Entries decodes the vector, for reports.
func (v Vector) Entries() []Entry {
	var out []Entry
	for len(v) > 0 {
		e, n := v.next()
		if n == 0 {
			break
		}
		out, v = append(out, e), v[n:]
	}
	return out
}

func (v Vector) next() (e Entry, n int) {
	i, n1 := binary.Uvarint(v)
	if n1 <= 0 {
		return Entry{}, 0
	}
	c, n2 := binary.Uvarint(v[n1:])
	if n2 <= 0 {
		return Entry{}, 0
	}
	return Entry{Incarnation(i), c}, n1 + n2
}

// Check reports whether v is a well-formed encoding: within the bounds, ascending by incarnation,
// and without a zero incarnation or counter.
func (v Vector) Check() bool {
	if len(v) > MaxVectorBytes {
		return false
	}
	var last Incarnation
	for count := 0; len(v) > 0; count++ {
		e, n := v.next()
		if n == 0 || e.Incarnation <= last || e.Counter == 0 || count == MaxVectorEntries {
			return false
		}
		last, v = e.Incarnation, v[n:]
	}
	return true
}

// String renders the vector as {incarnation:counter …}.
func (v Vector) String() string {
	var s []string
	for _, e := range v.Entries() {
		s = append(s, fmt.Sprintf("%d:%d", e.Incarnation, e.Counter))
	}
	return "{" + strings.Join(s, " ") + "}"
}

// Seen collects the versions that a write has seen in its query phase. The zero value has seen
// nothing. Its methods do not allocate, unless Append has to grow dst.
type Seen struct {
	entries [MaxVectorEntries + 1]Entry
	n       int
}

// Reset forgets everything.
func (s *Seen) Reset() { s.n = 0 }

// Add notes that a record was seen: its tag and all entries of its vector.
func (s *Seen) Add(r *Record) {
	if r.Tag.Counter == 0 {
		return
	}
	s.note(Entry{r.Tag.Incarnation, r.Tag.Counter})
	for v := r.Vector; len(v) > 0; {
		e, n := v.next()
		if n == 0 {
			return
		}
		s.note(e)
		v = v[n:]
	}
}

// note takes one entry in. It keeps the entries ascending by incarnation and within
// MaxVectorEntries: above that, it drops the entry with the lowest counter.
func (s *Seen) note(e Entry) {
	i := 0
	for i < s.n && s.entries[i].Incarnation < e.Incarnation {
		i++
	}
	if i < s.n && s.entries[i].Incarnation == e.Incarnation {
		s.entries[i].Counter = max(s.entries[i].Counter, e.Counter)
		return
	}
	copy(s.entries[i+1:s.n+1], s.entries[i:s.n])
	s.entries[i] = e
	s.n++
	if s.n > MaxVectorEntries {
		at, _ := s.lowest(func(Incarnation) bool { return true })
		s.drop(at)
	}
}

// Append encodes what was seen, as the vector of a new write by the incarnation writer. The
// function member reports whether an incarnation is in the topology. Of those that are not, only
// the entry with the highest counter is kept, so vectors do not grow with the number of restarts.
func (s *Seen) Append(dst []byte, writer Incarnation, member func(Incarnation) bool) []byte {
	departed := func(i Incarnation) bool { return i != writer && !member(i) }
	for at, n := s.lowest(departed); n > 1; at, n = s.lowest(departed) {
		s.drop(at)
	}
	for _, e := range s.entries[:s.n] {
		if e.Incarnation == writer {
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(e.Incarnation))
		dst = binary.AppendUvarint(dst, e.Counter)
	}
	return dst
}

// lowest returns the index of the entry with the lowest counter, among the n entries whose
// incarnations match.
func (s *Seen) lowest(match func(Incarnation) bool) (at, n int) {
	for i, e := range s.entries[:s.n] {
		if !match(e.Incarnation) {
			continue
		}
		if n == 0 || e.Counter < s.entries[at].Counter {
			at = i
		}
		n++
	}
	return at, n
}

func (s *Seen) drop(i int) {
	copy(s.entries[i:], s.entries[i+1:s.n])
	s.n--
}

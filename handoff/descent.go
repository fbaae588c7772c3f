package handoff

import (
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// descent finds the ranges in which two stores differ by comparing digests, level by level:
//
//	whole ─▶ 256 partitions ─▶ halves ─▶ halves … ─▶ a range of few records: asked again ─▶ differs
//
// A descent is pure and stepped: ask returns the ranges whose digests to get from the peer, and
// answer takes one of these digests.
//
// Digests add up. So only one of two halves is asked for, and the digest of the other half is the
// remainder. That moves half the bytes of asking for both, and less than any wider fan-out: 48
// bytes for each bit of a differing key's place. If the peer wrote meanwhile, the remainder is
// wrong and looks different. A range is asked for itself before it is exchanged, so that costs one
// comparison and nothing else. (A wrong remainder could look equal only if sums of keyed hashes of
// different keys cancelled out.)
//
// Where both halves differ level after level, most records differ. There the descent ends earlier,
// because each of the many leaves would cost a request of its own.
//
// Spans are taken from the end of the list, so the list stays short: one request's worth per level.
type descent struct {
	open  []span
	asked []span
	found []keyspace.Range // ranges that differ, to be exchanged; the caller empties the list
}

// span is a range to be asked for.
type span struct {
	keyspace.Range
	again bool           // it has differed once, and is small enough to be exchanged (H5)
	both  int            // for how many levels above it both halves have differed
	other keyspace.Range // the other half of whole; empty: there is none
	whole replica.Digest // the peer's digest of both halves
}

// none is an empty range.
var none = keyspace.Range{From: 1, To: 1}

const (
	// leafRecords is the size up to which a range is not divided any more: its tags cost not much
	// more than two more levels of digests.
	leafRecords  = 8
	denseRecords = 256 // the same bound where most of the records differ
)

// denseAfter is how many levels of differing halves make a range dense. When only one key in a
// hundred differs, it is very unlikely that thirty-two neighbouring parts of at most denseRecords
// records all differ.
const denseAfter = 5

func newDescent(r keyspace.Range) *descent {
	return &descent{open: []span{{Range: r, other: none}}}
}

// ask appends the next ranges to ask the peer for to dst, at most max. When there are none, the
// descent is over. An answer to each range must follow.
func (d *descent) ask(dst []keyspace.Range, max int) []keyspace.Range {
	first := len(d.open) - min(max, len(d.open))
	d.asked = append(d.asked[:0], d.open[first:]...)
	d.open = d.open[:first]
	for _, s := range d.asked {
		dst = append(dst, s.Range)
	}
	return dst
}

// answer takes the peer's digest of the i-th range of the last ask. own returns this store's digest
// of a range. answer returns the first error of own.
func (d *descent) answer(i int, theirs replica.Digest, own func(keyspace.Range) (replica.Digest, error)) error {
	s := d.asked[i]
	ours, err := own(s.Range)
	if err != nil {
		return err
	}
	differs := ours != theirs
	if s.other.Empty() {
		if differs {
			d.divide(s, theirs, int(ours.Records))
		}
		return nil
	}
	rest := s.whole.Sub(theirs)
	oursOther, err := own(s.other)
	if err != nil {
		return err
	}
	both := 0
	if differs && oursOther != rest {
		both = s.both + 1
	}
	if differs {
		d.divide(span{Range: s.Range, both: both}, theirs, int(ours.Records))
	}
	if oursOther != rest {
		d.divide(span{Range: s.other, both: both}, rest, int(oursOther.Records))
	}
	return nil
}

// divide decides what to do about a span that differs.
func (d *descent) divide(s span, theirs replica.Digest, records int) {
	width := s.To - s.From // zero for the whole space
	switch {
	case s.again:
		d.found = append(d.found, s.Range)
	case width == 0:
		for p := range keyspace.Partition(keyspace.Partitions) {
			d.open = append(d.open, span{Range: p.Whole(), other: none})
		}
	case records <= leafRecords || width == 1 || s.both >= denseAfter && records <= denseRecords:
		d.open = append(d.open, span{Range: s.Range, again: true, other: none})
	default:
		middle := s.From + width/2
		d.open = append(d.open, span{
			Range: keyspace.Range{From: s.From, To: middle}, other: keyspace.Range{From: middle, To: s.To}, whole: theirs, both: s.both,
		})
	}
}

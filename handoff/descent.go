package handoff

import (
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// descent finds the ranges in which two stores differ by comparing digests, level by level:
//
//	whole ─▶ 256 partitions ─▶ halves ─▶ halves … ─▶ a range of few records: asked again ─▶ differs
//
// It is pure and stepped: ask says which ranges' digests to get from the peer, answer takes one of
// them.
//
// Digests add up, so of two halves only one is asked for: the other's digest is what remains of the
// whole's. That moves half the bytes of asking for both, and less than any wider fan-out: 48 bytes
// for each bit of a differing key's place. When the peer wrote meanwhile the remainder is wrong,
// and looks different; since a range is asked for itself before it is exchanged, that costs a
// comparison and nothing else. (It could look equal only if sums of keyed hashes of different keys
// cancelled out.)
//
// Where both halves differ level after level, most records do: there the descent ends earlier,
// since every one of the many leaves would cost a request of its own.
//
// Spans are taken from the end of the list, so it stays short: a request's worth per level.
type descent struct {
	leaf  int // a range of at most so many records is exchanged, not divided
	dense int // likewise, where most records differ
	open  []span
	asked []span
	found []keyspace.Range // what differs, to be exchanged; the caller empties it
}

// span is a range to be asked for.
type span struct {
	keyspace.Range
	again bool           // it has differed once, and is small enough (H5)
	both  int            // for how many levels above it both halves have differed
	other keyspace.Range // its other half, of which whole is known; empty: none
	whole replica.Digest // the peer's, of both halves
}

// none is an empty range.
var none = keyspace.Range{From: 1, To: 1}

// denseAfter is how many levels of differing halves make a range dense. When one key in a hundred
// differs, thirty-two neighbouring parts of at most dense records all do once in a blue moon.
const denseAfter = 5

func newDescent(ranges ...keyspace.Range) *descent {
	d := &descent{leaf: leafRecords, dense: denseRecords}
	for _, r := range ranges {
		d.open = append(d.open, span{Range: r, other: none})
	}
	return d
}

// ask appends the ranges to ask the peer for to dst, at most max; none: the descent is over. An
// answer to each must follow.
func (d *descent) ask(dst []keyspace.Range, max int) []keyspace.Range {
	first := len(d.open) - min(max, len(d.open))
	d.asked = append(d.asked[:0], d.open[first:]...)
	d.open = d.open[:first]
	for _, s := range d.asked {
		dst = append(dst, s.Range)
	}
	return dst
}

// answer takes the peer's digest of the i-th range asked for. own returns this store's digest of a
// range; its first error ends the answer.
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
	width := s.To - s.From // of the whole space: zero
	switch {
	case s.again:
		d.found = append(d.found, s.Range)
	case width == 0:
		for p := range keyspace.Partition(keyspace.Partitions) {
			d.open = append(d.open, span{Range: p.Whole(), other: none})
		}
	case records <= d.leaf || width == 1 || s.both >= denseAfter && records <= d.dense:
		d.open = append(d.open, span{Range: s.Range, again: true, other: none})
	default:
		middle := s.From + width/2
		d.open = append(d.open, span{
			Range: keyspace.Range{From: s.From, To: middle}, other: keyspace.Range{From: middle, To: s.To}, whole: theirs, both: s.both,
		})
	}
}

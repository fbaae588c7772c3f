package handoff

import "viakv/ring/keyspace"

// descent finds the ranges in which two stores differ by comparing digests, level by level:
//
//	whole ─▶ 256 partitions ─▶ halves ─▶ halves … ─▶ a range of few records: asked again ─▶ differs
//
// It is pure and stepped: ask says which ranges' digests to get from the peer, answer takes one of them.
//
// Digests add up, so of two halves only one is asked for: the other's digest is what remains of the whole's. That moves half the bytes of
// asking for both, and less than any wider fan-out: 48 bytes for each bit of a differing key's place. When the peer wrote
// meanwhile the remainder is wrong, and looks different; since a range is asked for itself before it is exchanged, that costs a
// comparison and nothing else. (It could look equal only if sums of keyed hashes of different keys cancelled out.)
//
// Spans are taken from the end of the list, so it stays short: a request's worth per level.
type descent struct {
	leaf  int // a range of at most so many records is exchanged, not divided
	open  []span
	asked []span
	found []keyspace.Range // what differs, to be exchanged; the caller empties it
}

// span is a range to be asked for.
type span struct {
	keyspace.Range
	again bool           // it has differed once, and is small enough (H5)
	other keyspace.Range // its other half, of which whole is known; empty: none
	whole Digest         // the peer's, of both halves
}

// none is an empty range.
var none = keyspace.Range{From: 1, To: 1}

func newDescent(leaf int, ranges ...keyspace.Range) *descent {
	d := &descent{leaf: leaf}
	for _, r := range ranges {
		d.open = append(d.open, span{Range: r, other: none})
	}
	return d
}

// ask appends the ranges to ask the peer for to dst, at most max; none: the descent is over. An answer to each must follow.
func (d *descent) ask(dst []keyspace.Range, max int) []keyspace.Range {
	first := len(d.open) - min(max, len(d.open))
	d.asked = append(d.asked[:0], d.open[first:]...)
	d.open = d.open[:first]
	for _, s := range d.asked {
		dst = append(dst, s.Range)
	}
	return dst
}

// answer takes the peer's digest of the i-th range asked for. own returns this store's digest of a range, and about how many
// records it holds; its first error ends the answer.
func (d *descent) answer(i int, theirs Digest, own func(keyspace.Range) (Digest, int, error)) error {
	s := d.asked[i]
	if err := d.judge(s.Range, theirs, s.again, own); err != nil || s.other.Empty() {
		return err
	}
	return d.judge(s.other, s.whole.sub(theirs), false, own)
}

// judge decides what to do about a range of which the peer's digest is known.
func (d *descent) judge(r keyspace.Range, theirs Digest, again bool, own func(keyspace.Range) (Digest, int, error)) error {
	ours, records, err := own(r)
	width := r.To - r.From // of the whole space: zero
	switch {
	case err != nil || ours == theirs:
	case again:
		d.found = append(d.found, r)
	case width != 0 && (records <= d.leaf || width == 1):
		d.open = append(d.open, span{Range: r, again: true, other: none})
	case width == 0:
		for p := range keyspace.Partition(keyspace.Partitions) {
			d.open = append(d.open, span{Range: p.Whole(), other: none})
		}
	default:
		middle := r.From + width/2
		d.open = append(d.open, span{
			Range: keyspace.Range{From: r.From, To: middle}, other: keyspace.Range{From: middle, To: r.To}, whole: theirs,
		})
	}
	return err
}

package handoff

import "viakv/ring/keyspace"

// descent finds the ranges in which two stores differ by comparing digests, level by level:
//
//	whole ─▶ 256 partitions ─▶ quarters ─▶ quarters … ─▶ a range of few records: asked again ─▶ differs
//
// It is pure and stepped: ask says which ranges to compare next, answer tells what came out. A fan-out of four moves fewest bytes when few
// keys of many differ (a wider one compares more siblings that agree, a narrower one more levels); the first step is wider because
// 256 digests are still one small frame.
//
// Spans are taken from the end of the list, so it stays short: a fan-out's worth per level and request.
type descent struct {
	leaf  int // a range of at most so many records is exchanged, not divided
	open  []span
	asked []span
}

// span is a range to be compared.
type span struct {
	keyspace.Range
	again bool // it has differed once, and is small enough (H5)
}

// fanOut is the number of parts a range that differs is divided into.
const fanOut = 4

func newDescent(leaf int, ranges ...keyspace.Range) *descent {
	d := &descent{leaf: leaf}
	for _, r := range ranges {
		d.open = append(d.open, span{Range: r})
	}
	return d
}

// ask appends the ranges to compare next to dst, at most max; none: the descent is over. An answer must follow.
func (d *descent) ask(dst []keyspace.Range, max int) []keyspace.Range {
	first := len(d.open) - min(max, len(d.open))
	d.asked = append(d.asked[:0], d.open[first:]...)
	d.open = d.open[:first]
	for _, s := range d.asked {
		dst = append(dst, s.Range)
	}
	return dst
}

// answer takes the outcome for the i-th range asked: whether the stores agree on it, and about how many records it holds. It reports whether
// the range is one to exchange.
func (d *descent) answer(i int, same bool, records int) bool {
	s := d.asked[i]
	width := s.To - s.From // of the whole space: zero
	switch {
	case same:
		return false
	case s.again:
		return true
	case width != 0 && (records <= d.leaf || width < fanOut):
		s.again = true
		d.open = append(d.open, s)
	case width == 0:
		for p := range keyspace.Partition(keyspace.Partitions) {
			d.open = append(d.open, span{Range: p.Whole()})
		}
	default:
		part := width / fanOut
		for k := range keyspace.Rank(fanOut) {
			part := span{Range: keyspace.Range{From: s.From + k*part, To: s.From + (k+1)*part}}
			if k == fanOut-1 {
				part.To = s.To
			}
			d.open = append(d.open, part)
		}
	}
	return false
}

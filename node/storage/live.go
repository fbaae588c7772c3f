package storage

import (
	"bytes"
	"cmp"
	"slices"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// AppendLive appends the pairs of those entries that hold a value, ascending by rank and key. That
// is all that a scan delivers, and it is cheaper than Sort. The pairs borrow the bucket.
func (b *Bucket) AppendLive(dst []kv.Pair) []kv.Pair {
	var few [fewPairs]pairOrder
	order, first := few[:0], len(dst)
	for e := range b.Records {
		if e.Record.Live() {
			order = append(order, pairOrder{e.Rank, len(dst) - first})
			dst = append(dst, kv.Pair{Key: e.Key, Value: e.Record.Value, Version: e.Record.Tag})
		}
	}
	arrange(dst[first:], order)
	return dst
}

// AppendSorted sorts the bucket and appends its entries. They borrow the bucket.
func (b *Bucket) AppendSorted(dst []replica.Entry) []replica.Entry {
	b.Sort()
	for e := range b.Records {
		dst = append(dst, e)
	}
	return dst
}

// pairOrder says where a pair belongs in the order, and where it lies.
type pairOrder struct {
	rank keyspace.Rank
	at   int
}

// fewPairs is the number of pairs up to which insertion sort beats quicksort. A bucket has some
// dozens.
const fewPairs = 128

// arrange brings pairs into the order of rank and key. It overwrites order.
func arrange(pairs []kv.Pair, order []pairOrder) {
	if len(order) <= fewPairs {
		for i := 1; i < len(order); i++ {
			o, k := order[i], i
			for ; k > 0 && order[k-1].rank >= o.rank && compare(pairs, order[k-1], o) > 0; k-- {
				order[k] = order[k-1]
			}
			order[k] = o
		}
	} else {
		slices.SortFunc(order, func(a, b pairOrder) int { return compare(pairs, a, b) })
	}
	// Each pair moves once, along the cycles of the permutation.
	for i := range order {
		if order[i].at == i {
			continue
		}
		held, to := pairs[i], i
		for {
			from := order[to].at
			order[to].at = to
			if from == i {
				pairs[to] = held
				break
			}
			pairs[to], to = pairs[from], from
		}
	}
}

func compare(pairs []kv.Pair, a, b pairOrder) int {
	if a.rank != b.rank {
		return cmp.Compare(a.rank, b.rank)
	}
	return bytes.Compare(pairs[a.at].Key, pairs[b.at].Key)
}

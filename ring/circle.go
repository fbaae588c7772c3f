package ring

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"viakv/ring/keyspace"
)

// circle is the ring of virtual points, in ascending order. Package consistent does not export its
// points. It orders the backups of a partition by the hashes of their names alone, so all
// partitions of a dead owner would fall to one successor. Walking the points spreads them over
// several successors.
type circle []point

type point struct {
	at     uint64
	member int
}

func newCircle(members []string) circle {
	c := make(circle, 0, len(members)*replicas)
	for i, name := range members {
		for r := range replicas {
			c = append(c, point{xxhash.Sum64String(member(name).String() + strconv.Itoa(r)), i})
		}
	}
	slices.SortFunc(c, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.member, b.member))
	})
	return c
}

// from lists n members: the owner, then the other members in the order in which their points follow
// the point of the partition.
func (c circle) from(p keyspace.Partition, owner, n int) []int {
	list := make([]int, 1, n)
	list[0] = owner
	at := hashPartition(p)
	first, _ := slices.BinarySearchFunc(c, at, func(x point, at uint64) int { return cmp.Compare(x.at, at) })
	for i := 0; i < len(c) && len(list) < n; i++ {
		if m := c[(first+i)%len(c)].member; !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

package ring

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"

	"viakv/ring/keyspace"
)

const (
	// replicas is how many points of the circle belong to one member. More points even out the
	// preference lists, and cost time at each change of the topology.
	replicas = 20
	// load is the bound on the partitions of one member, as a multiple of the average.
	load = 1.25
	// separator stands between a member's name and the number of its point. Package consistent puts
	// nothing there, so the eleventh point of node-1 would be the first of node-11: both are
	// "node-110".
	separator = '#'
)

// MaxMembers is the size of the largest ring. With more members than partitions, some members would
// own nothing.
const MaxMembers = keyspace.Partitions

// Snapshot is the placement for one set of members. It is immutable and safe for concurrent use.
type Snapshot struct {
	members    []string
	owner      [keyspace.Partitions]int
	preference [keyspace.Partitions][]int
	owned      []int
}

// member is the name of a member in the form that package consistent asks for.
type member string

func (m member) String() string { return string(m) + string(separator) }

type hasher struct{}

func (hasher) Sum64(b []byte) uint64 { return xxhash.Sum64(b) }

// Build computes the placement for a set of members. Duplicates count once. It panics when there
// are more than MaxMembers, which the topology never admits.
func Build(members []string) *Snapshot {
	s := &Snapshot{members: slices.Clone(members)}
	slices.Sort(s.members)
	s.members = slices.Compact(s.members)
	if len(s.members) > MaxMembers {
		panic(fmt.Sprintf("ring: %d members, at most %d fit", len(s.members), MaxMembers))
	}
	s.owned = make([]int, len(s.members))
	if len(s.members) == 0 {
		for p := range s.owner {
			s.owner[p] = -1
		}
		return s
	}
	list := make([]consistent.Member, len(s.members))
	index := make(map[string]int, len(s.members))
	for i, name := range s.members {
		list[i] = member(name)
		index[member(name).String()] = i
	}
	placed := consistent.New(list, consistent.Config{
		Hasher: hasher{}, PartitionCount: keyspace.Partitions, ReplicationFactor: replicas, Load: load,
	})
	circle := newCircle(s.members)
	for p := range s.owner {
		o := index[placed.GetPartitionOwner(p).String()]
		s.owner[p] = o
		s.owned[o]++
		s.preference[p] = circle.from(keyspace.Partition(p), o, len(s.members))
	}
	return s
}

// Members returns the sorted names, to which all indices refer. The result is read only.
func (s *Snapshot) Members() []string { return s.members }

// Owner returns the member that owns a partition, as an index into the sorted members. It returns
// -1 when there are no members.
func (s *Snapshot) Owner(p keyspace.Partition) int { return s.owner[p] }

// Preference returns the preference list of a partition: all members, as indices, the owner first.
// The result is read only.
func (s *Snapshot) Preference(p keyspace.Partition) []int { return s.preference[p] }

// Ownership returns the share of the partitions that member i owns, from 0 to 1.
func (s *Snapshot) Ownership(i int) float64 { return float64(s.owned[i]) / keyspace.Partitions }

// hashPartition returns the point of a partition on the circle, computed as by package consistent.
func hashPartition(p keyspace.Partition) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(p))
	return xxhash.Sum64(b[:])
}

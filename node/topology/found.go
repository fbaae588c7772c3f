package topology

import (
	"slices"
	"strings"

	"viakv/api/kv"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// firstEpoch is the epoch of a founding document.
const firstEpoch version.Epoch = 1

// Founding is what a founder decides once for a cluster.
type Founding struct {
	Cluster                 ClusterID
	Founder                 uint64 // boot ID
	Seed                    keyspace.Seed
	DigestKey               [2]uint64
	CursorKey               Secret
	ReadQuorum, WriteQuorum kv.Quorum
	AllowWeak               bool
	Members                 []Identity // in any order
}

// Found returns the first topology. Its incarnations are 1 to N, so the log begins after index N.
func Found(f Founding) (*Topology, error) {
	t := &Topology{
		Cluster: f.Cluster, Founder: f.Founder, Epoch: firstEpoch,
		Seed: f.Seed, DigestKey: f.DigestKey, CursorKey: f.CursorKey,
		ReadQuorum: f.ReadQuorum, WriteQuorum: f.WriteQuorum, AllowWeak: f.AllowWeak,
	}
	members := slices.Clone(f.Members)
	slices.SortFunc(members, func(a, b Identity) int { return strings.Compare(a.Name, b.Name) })
	for i, m := range members {
		t.Slots = append(t.Slots, Slot{Name: m.Name, HTTP: m.HTTP, Peer: m.Peer, BootID: m.BootID, Incarnation: version.Incarnation(i + 1)})
	}
	t.LogIndex = uint64(len(members))
	if err := t.Validate(); err != nil {
		return nil, err
	}
	return t, nil
}

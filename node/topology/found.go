package topology

import (
	"viakv/quorum/version"
)

// firstEpoch is the epoch of a founding document.
const firstEpoch version.Epoch = 1

// firstTopology returns the first topology of a cluster: what the founder has decided once for the
// cluster, and the members, which are ascending by name. Its incarnations are 1 to N, so the log
// begins after index N.
func firstTopology(decided Topology, members []Identity) (*Topology, error) {
	t := &decided
	t.Epoch = firstEpoch
	for i, m := range members {
		t.Slots = append(t.Slots, Slot{Name: m.Name, HTTP: m.HTTP, Peer: m.Peer, BootID: m.BootID, Incarnation: version.Incarnation(i + 1)})
	}
	t.LogIndex = uint64(t.N())
	if err := t.validate(); err != nil {
		return nil, err
	}
	return t, nil
}

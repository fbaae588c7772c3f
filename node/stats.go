package node

import (
	"time"

	"viakv/handoff"
	"viakv/node/storage"
	"viakv/node/transport"
	"viakv/quorum"
	"viakv/quorum/scan"
)

// Stats holds what a node counts. Coordinator and Scans count from the start of the node. Handoff
// counts from the start of the present membership: when a node joins another mesh, it begins there
// at zero.
type Stats struct {
	Coordinator quorum.Stats
	Scans       scan.Stats
	Handoff     handoff.Stats
	Storage     storage.Stats // zero before the node belongs to a cluster
	Links       []LinkStats   // to the other members
}

// LinkStats is the state of the connection to another member.
type LinkStats struct {
	Member    string
	Connected bool
	LastReply time.Time // zero: none yet
}

// Stats returns the present counts. It asks no peer. It reads the store's partitions one after the
// other, so the parts of the result are of slightly different moments. It is safe for concurrent
// use.
func (n *Node) Stats() Stats {
	m := n.present.Load()
	out := Stats{Coordinator: n.coordinator.Stats(), Scans: n.scans.Stats(), Handoff: m.driver.Stats()}
	s := m.state.Load()
	if s == nil {
		return out
	}
	out.Storage = s.Store.Stats()
	for i := range s.View.Members {
		if i == s.View.Self {
			continue
		}
		h := n.transport.Health(transport.Address(s.View.Members[i].Address))
		out.Links = append(out.Links, LinkStats{Member: s.View.Members[i].Name, Connected: h.Connected, LastReply: h.LastReply})
	}
	return out
}

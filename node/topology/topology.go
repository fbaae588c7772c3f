package topology

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
	"viakv/ring/keyspace"
)

// Topology is one agreed state of the cluster. Once published it is immutable: a change is made on
// a clone (see successor).
type Topology struct {
	Cluster ClusterID     `json:"cluster"`
	Founder uint64        `json:"founder"` // boot ID of the node that founded the cluster (E8)
	Epoch   version.Epoch `json:"epoch"`
	// LogIndex is the index of the entry that made this topology. The log of a founding document,
	// and that of a fork, begins after it.
	LogIndex   uint64             `json:"logIndex"`
	Generation version.Generation `json:"generation"`        // number of clears so far
	Cleared    version.Epoch      `json:"cleared,omitempty"` // epoch of the last clear; zero: none
	Purge      uint64             `json:"purge"`             // number of purges so far
	PurgeList  uint64             `json:"purgeList"`         // the list that the last purge removed

	Seed      keyspace.Seed `json:"seed"`      // key of the keys' hash; never shown to clients
	DigestKey [2]uint64     `json:"digestKey"` // key of the digests; never shown to clients
	CursorKey Secret        `json:"cursorKey"` // seals cursors, and the digests that people see

	// ReadQuorum and WriteQuorum are each a number, kv.QuorumMajority or kv.QuorumAll.
	// kv.QuorumDefault means majority. A number above N counts as N, so that a cluster may grow
	// into its configuration.
	ReadQuorum  kv.Quorum `json:"readQuorum"`
	WriteQuorum kv.Quorum `json:"writeQuorum"`
	AllowWeak   bool      `json:"allowWeak,omitempty"` // the configuration permits R + W ≤ N (D7)

	// Reads is how reads are answered. Lease is how long a lease lasts, in nanoseconds; it is the
	// same at all epochs. Every document has both: one of a version without leases is refused.
	Reads kv.Reads      `json:"reads"`
	Lease time.Duration `json:"lease"`

	Slots   []Slot     `json:"slots"`             // ascending by name; N is their number
	Joining *Candidate `json:"joining,omitempty"` // copies before it becomes a slot; nil: no node joins
	// Departing says that the only member is joining another cluster: this one admits no node.
	Departing bool        `json:"departing,omitempty"`
	Change    *SizeChange `json:"change,omitempty"` // the size change that is not settled yet (M6); nil: none

	Resized version.Epoch `json:"resized,omitempty"` // of the last size change, settled or not
	// Prev says which processes must report this epoch before it is sealed (M5).
	Prev Predecessor `json:"prev"`
	// Forks lists the clusters that this one continues after forced removals, the latest last.
	Forks   []ClusterID `json:"forks,omitempty"`
	Applied []Done      `json:"applied,omitempty"` // the operations applied last, ascending by epoch (E5)
}

// Slot is a node's stable place in the cluster.
type Slot struct {
	Identity                        // of the process that holds the slot, active or pending
	Incarnation version.Incarnation `json:"incarnation"`       // the active one; zero: the slot is vacant
	Pending     version.Incarnation `json:"pending,omitempty"` // the one that rebuilds; zero: none
	// Since is the epoch that last vacated the slot. Zero: none did.
	Since version.Epoch `json:"since,omitempty"`
}

// Candidate is a node that was admitted and copies the data before it becomes a slot.
type Candidate struct {
	Identity                     // of the process that copies
	Pending  version.Incarnation `json:"pending"`
	Since    version.Epoch       `json:"since"` // epoch of the admission
}

// SizeChange is a join or a leave that is not settled.
type SizeChange struct {
	Epoch  version.Epoch `json:"epoch"`
	Joined string        `json:"joined,omitempty"`
	Left   string        `json:"left,omitempty"`
	Owe    []string      `json:"owe"`  // slots that must run the sync barrier
	From   []string      `json:"from"` // slots whose copies they merge
	// Need is the number of copies to merge. A slot's own copy counts where the slot is one of
	// From.
	Need int `json:"need"`
}

// Predecessor is what sealing needs to know of the epoch before.
type Predecessor struct {
	Epoch version.Epoch `json:"epoch"`
	Need  int           `json:"need"` // N - min(R, W) + 1 of that epoch
	Slots []Slot        `json:"slots"`
}

// Done is one operation that was applied.
type Done struct {
	ID    OperationID   `json:"id"`
	Epoch version.Epoch `json:"epoch"` // the epoch that the operation made
}

// N is the number of slots, which is the replication factor.
func (t *Topology) N() int { return len(t.Slots) }

// R is the number of replies that completes a query phase.
func (t *Topology) R() int { r, _ := t.quorums(); return r }

// W is the number of acknowledgements that completes a write phase.
func (t *Topology) W() int { _, w := t.quorums(); return w }

// quorums returns R and W. A read of one size has to see the writes of the other (D7). So both are
// raised while a change of size is not settled, where the quorums of the two sizes would not meet
// otherwise. Majorities meet as they are.
//
// A raised quorum is never above N. That is enough even where the formula asks for more, with W = N
// and R = 1: a read always asks W replicas, too (D4), or rests on a lease of another member (L3).
func (t *Topology) quorums() (r, w int) {
	n, before := t.N(), t.sizeBefore()
	r, w = quorum(t.ReadQuorum, n), quorum(t.WriteQuorum, n)
	if before == n || rule.Broken(rule.Meet) {
		return r, w
	}
	oldR, oldW := quorum(t.ReadQuorum, before), quorum(t.WriteQuorum, before)
	if r+w <= n || oldR+oldW <= before {
		return r, w // the configuration asks for weak quorums
	}
	larger := max(n, before)
	return max(r, min(n, larger-oldW+1)), max(w, min(n, larger-oldR+1))
}

// sizeBefore is N before the change of size that is not settled. It is N itself when none is under
// way.
func (t *Topology) sizeBefore() int {
	switch {
	case t.Change == nil:
		return t.N()
	case t.Change.Joined != "":
		return t.N() - 1
	}
	return t.N() + 1
}

// index returns the place of a slot in Slots, or -1 when no slot has that name.
func (t *Topology) index(name string) int {
	i, ok := slices.BinarySearchFunc(t.Slots, name, func(s Slot, name string) int { return strings.Compare(s.Name, name) })
	if !ok {
		return -1
	}
	return i
}

// slot returns the slot of that name, or nil when there is none. The result points into the
// topology: the caller must not write to it.
func (t *Topology) slot(name string) *Slot {
	if i := t.index(name); i >= 0 {
		return &t.Slots[i]
	}
	return nil
}

// Names returns the slots' names, ascending. The ring is built from them.
func (t *Topology) Names() []string {
	out := make([]string, len(t.Slots))
	for i := range t.Slots {
		out[i] = t.Slots[i].Name
	}
	return out
}

// active counts the slots that hold an active incarnation.
func (t *Topology) active() int {
	n := 0
	for i := range t.Slots {
		if t.Slots[i].active() {
			n++
		}
	}
	return n
}

// vacancies counts the slots whose memory is lost and not yet rebuilt.
func (t *Topology) vacancies() int { return t.N() - t.active() }

// Role is what a process is in the topology.
type Role uint8

// The roles of a process.
const (
	Stranger   Role = iota // in no slot and not joining: refused for ever
	Joining                // copies before it becomes a slot; does not count
	Rebuilding             // its slot is vacant until it has rebuilt; does not count
	Active                 // serves
)

// String returns the state of a membership in that role, and "stranger" for no role.
func (r Role) String() string {
	return [...]string{"stranger", stateJoining, stateRebuilding, stateActive}[r]
}

// Role returns the role of the process with this boot ID, and its incarnation: the active one of an
// active process, otherwise the pending one.
func (t *Topology) Role(boot uint64) (Role, version.Incarnation) {
	for i := range t.Slots {
		switch s := &t.Slots[i]; {
		case s.BootID != boot:
		case s.active():
			return Active, s.Incarnation
		default:
			return Rebuilding, s.Pending
		}
	}
	if t.Joining != nil && t.Joining.BootID == boot {
		return Joining, t.Joining.Pending
	}
	return Stranger, 0
}

// includes reports whether the process with this boot ID has a slot or is joining.
func (t *Topology) includes(boot uint64) bool {
	role, _ := t.Role(boot)
	return role != Stranger
}

// RebuildNeed returns how many full copies of other members a rebuilding or joining process must
// merge before it may count, and from which slots (M3). Each copy must be answered at this
// epoch or later. With fewer sources than needed, data may be lost, and only the operator may go
// on.
func (t *Topology) RebuildNeed(boot uint64) (need int, from []string) {
	for i := range t.Slots {
		if s := &t.Slots[i]; s.active() && s.BootID != boot {
			from = append(from, s.Name)
		}
	}
	if t.Change != nil && len(from) > 0 {
		return len(from), from // all others: the only copy may be on either side of the size change
	}
	return t.N() - t.W() + 1, from
}

// active reports whether the slot's incarnation serves.
func (s *Slot) active() bool { return s.Incarnation != 0 }

// State returns the slot's state as /cluster shows it: "active", "rebuilding" or "vacant".
func (s *Slot) State() string {
	switch {
	case s.active():
		return stateActive
	case s.Pending != 0:
		return stateRebuilding
	}
	return "vacant"
}

// quorum returns the number that a configured quorum means in a cluster of n.
func quorum(q kv.Quorum, n int) int {
	switch {
	case q == kv.QuorumAll:
		return n
	case q <= 0:
		return n/2 + 1
	}
	return min(int(q), n)
}

// encode returns the document: the form in which a topology is sent to peers and kept in the log's
// snapshots. It holds secrets, so it must not be shown elsewhere.
func (t *Topology) encode() []byte { return encodeJSON(t) }

// Decode reads a document that a peer has sent, and checks it.
func Decode(b []byte) (*Topology, error) {
	t := new(Topology)
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("topology: malformed document: %w", err)
	}
	if err := t.validate(); err != nil {
		return nil, err
	}
	return t, nil
}

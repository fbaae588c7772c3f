package topology

import (
	"encoding/json"
	"errors"
	"fmt"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// Kind names a command. The names are part of the log's format: append-only.
type Kind string

// The commands of the log. The first topology comes from firstTopology, not from a command.
const (
	Vacate   Kind = "vacate"   // a newer process holds the slot; its memory is lost (M2)
	Activate Kind = "activate" // the slot has rebuilt and counts again
	Admit    Kind = "admit"    // a new node may copy the data
	Abandon  Kind = "abandon"  // the admitted node is given up
	Grow     Kind = "grow"     // the admitted node becomes a slot: N + 1
	Shrink   Kind = "shrink"   // a slot leaves: N - 1
	Settle   Kind = "settle"   // every slot that owed the sync barrier has run it (M6)
	Clear    Kind = "clear"    // generation + 1 (M8)
	Purge    Kind = "purge"    // purge sequence + 1 (G2)
	Depart   Kind = "depart"   // the only member is about to join another cluster
	Stay     Kind = "stay"     // the only member cancels its departure
	SetReads Kind = "reads"    // reads are answered by lease, or by quorum, from now on
)

// command is one entry of the consensus log.
type command struct {
	ID OperationID `json:"id"`
	// Expect is the epoch that the proposer saw sealed. At any other the command is refused (E4).
	Expect version.Epoch `json:"expect"`
	Kind   Kind          `json:"kind"`

	// Name is the slot or candidate of Activate, Abandon, Grow and Shrink.
	Name        string              `json:"name,omitempty"`
	Node        *Identity           `json:"node,omitempty"`        // Vacate, Admit: the process
	Incarnation version.Incarnation `json:"incarnation,omitempty"` // Activate, Abandon, Grow: the pending one
	At          *basis              `json:"at,omitempty"`          // Activate, Grow: basis of the copies
	List        uint64              `json:"list,omitempty"`        // Purge: the list that is removed
	Barriers    []fact              `json:"barriers,omitempty"`    // Settle, Shrink: who has run the barrier
	Force       bool                `json:"force,omitempty"`       // Shrink: the operator accepts loss
	// Reached is, in a forced Shrink, how many slots answer. Sealing cannot ask for more.
	Reached int      `json:"reached,omitempty"`
	Reads   kv.Reads `json:"reads,omitempty"` // SetReads: how reads are answered
}

// basis is the state of the topology at which a rebuild was made.
type basis struct {
	Epoch      version.Epoch      `json:"epoch"`
	Generation version.Generation `json:"generation"`
	Purge      uint64             `json:"purge"`
}

// basis returns the basis of a rebuild that is made at t.
func (t *Topology) basis() *basis { return &basis{t.Epoch, t.Generation, t.Purge} }

// fact says that an incarnation has run the sync barrier of the size change under way.
type fact struct {
	Slot        string              `json:"slot"`
	Incarnation version.Incarnation `json:"incarnation"`
}

// Errors of apply that ask the proposer to look again. Its other errors are those of api/kv.
var (
	// errEpoch means that the topology has moved on since the command was made.
	errEpoch = errors.New("topology: the epoch has moved on")
	// ErrStartOver means that a clear, a purge, a size change or the loss of a source came in
	// between (M2, G3). The process has to copy again.
	ErrStartOver = errors.New("topology: the copies are outdated, rebuild again")
	// errUnsettled means that the last size change is not settled yet (M6), or that another join is
	// under way.
	errUnsettled = errors.New("topology: another change of membership is under way")
	// errDeparting means that the cluster's only member is joining another cluster.
	errDeparting = errors.New("topology: the node is joining another cluster itself")
	// errVacant means that the command is refused while a slot is vacant (G3).
	errVacant = errors.New("topology: a slot is vacant until it has rebuilt")
)

func decodeCommand(b []byte) (*command, error) {
	c := new(command)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("topology: malformed command: %w", err)
	}
	return c, nil
}

package topology

import (
	"encoding/json"
	"errors"
	"fmt"

	"viakv/quorum/version"
)

// Kind names a command. The names are part of the log's format: append-only.
type Kind string

// The commands of the log. A topology begins with Found (see found.go) and never otherwise.
const (
	Vacate   Kind = "vacate"   // a newer process holds the slot; its memory is lost (M2)
	Activate Kind = "activate" // the slot has rebuilt and counts again
	Admit    Kind = "admit"    // a new node may copy the data
	Abandon  Kind = "abandon"  // the admitted node does not go on
	Grow     Kind = "grow"     // the admitted node becomes a slot: N + 1
	Shrink   Kind = "shrink"   // a slot leaves: N - 1
	Settle   Kind = "settle"   // every slot that owed the sync barrier has run it (M6)
	Clear    Kind = "clear"    // generation + 1 (M8)
	Purge    Kind = "purge"    // purge sequence + 1 (G2)
	Depart   Kind = "depart"   // the only member is about to join another cluster
	Stay     Kind = "stay"     // it does not any more
)

// Command is one entry of the consensus log.
type Command struct {
	ID     OperationID   `json:"id"`
	Expect version.Epoch `json:"expect"` // the epoch that the proposer saw sealed; at any other the command is refused (E4)
	Kind   Kind          `json:"kind"`

	Name        string              `json:"name,omitempty"`        // Activate, Abandon, Grow, Shrink: the slot or candidate
	Node        *Identity           `json:"node,omitempty"`        // Vacate, Admit: the process
	Incarnation version.Incarnation `json:"incarnation,omitempty"` // Activate, Abandon, Grow: the pending one
	At          *Basis              `json:"at,omitempty"`          // Activate, Grow: what the copies are worth
	List        uint64              `json:"list,omitempty"`        // Purge: what is removed
	Barriers    []Fact              `json:"barriers,omitempty"`    // Settle, Shrink: who has run the barrier
	Force       bool                `json:"force,omitempty"`       // Shrink: the operator accepts loss
	Reached     int                 `json:"reached,omitempty"`     // Shrink by force: how many slots answer; sealing cannot ask more
}

// Basis is the state of the topology at which a rebuild was made.
type Basis struct {
	Epoch      version.Epoch      `json:"epoch"`
	Generation version.Generation `json:"generation"`
	Purge      uint64             `json:"purge"`
}

// Basis returns what a rebuild made at t can refer to.
func (t *Topology) Basis() Basis { return Basis{t.Epoch, t.Generation, t.Purge} }

// Fact says that an incarnation has run the sync barrier of the size change under way.
type Fact struct {
	Slot        string              `json:"slot"`
	Incarnation version.Incarnation `json:"incarnation"`
}

// Errors of Apply that ask the proposer to look again. Others are api/kv's.
var (
	// ErrEpoch: the topology has moved on since the command was made.
	ErrEpoch = errors.New("topology: the epoch has moved on")
	// ErrStartOver: a clear, a purge, a size change or the loss of a source came in between (M2, G3). Copy again.
	ErrStartOver = errors.New("topology: the copies are outdated, rebuild again")
	// ErrUnsettled: the last size change is not settled yet (M6), or another join is under way.
	ErrUnsettled = errors.New("topology: another change of membership is under way")
	// ErrDeparting: the cluster's only member is joining another one.
	ErrDeparting = errors.New("topology: the node is joining another cluster itself")
	// ErrVacant: refused while a slot is vacant (G3).
	ErrVacant = errors.New("topology: a slot is vacant until it has rebuilt")
)

func (c *Command) encode() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("topology: encode command: %v", err)) // plain values only: cannot fail
	}
	return b
}

func decodeCommand(b []byte) (*Command, error) {
	c := new(Command)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("topology: malformed command: %w", err)
	}
	return c, nil
}

package topology

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/quorum/version"
)

// presence answers OpDiscover. In a refusal it tells which process is at the address instead.
type presence struct {
	Identity
	State string `json:"state"` // one of the states of a membership
	// Promised is the boot ID of the founder that the process is bound to. A founder promises
	// itself.
	Promised uint64    `json:"promised,omitempty"`
	Leader   uint64    `json:"leader,omitempty"`   // boot ID
	Topology *Topology `json:"topology,omitempty"` // a member's topology; nil: not a member
	Memory   Memory    `json:"memory,omitzero"`
	Stopping bool      `json:"stopping,omitempty"` // about to stop; it still answers

	// Addresses are those of the machine, sent while the process waits for its seeds.
	Addresses []netip.Addr `json:"addresses,omitempty"`

	// JoiningVia is the peer address by which the node is joining another cluster.
	JoiningVia transport.Address `json:"going,omitempty"`
}

// Memory says how much memory a member's data takes, and how much room is left, in bytes.
type Memory struct {
	Held int64 `json:"held,omitempty"` // taken by the cluster's data
	// Room is the memory left before the first member reaches its limit. Nil: no limit is known.
	Room *int64 `json:"room,omitempty"`
}

// promise is the body of OpPromise: the fresh processes that the founder sees, ascending. The
// founder is the sender.
type promise struct {
	Founder Identity `json:"founder"`
	BootIDs []uint64 `json:"boots"`
}

// objection is the body of the reply that refuses an OpPromise, for a reason that the founder would
// not know otherwise.
type objection struct {
	Detail string `json:"detail"`
}

// update is the body of OpUpdate. Without a topology it only asks.
type update struct {
	Topology *Topology `json:"topology,omitempty"`
	// Quiet asks for an answer only once the receiver is quiet at the epoch. Without it the answer
	// comes once the receiver has adopted the epoch.
	Quiet  bool          `json:"quiet,omitempty"`
	Sealed version.Epoch `json:"sealed,omitempty"` // the newest epoch that the sender knows to be sealed
}

// updateReply answers an update.
type updateReply struct {
	// Barrier is the epoch of the last size change whose barrier this process has run.
	Barrier  version.Epoch `json:"barrier,omitempty"`
	Quiet    version.Epoch `json:"quiet,omitempty"`    // the process has adopted it, and is quiet at it
	Topology *Topology     `json:"topology,omitempty"` // when it is newer than the sender's
}

// purpose is the purpose of a request. It is part of the wire format: append-only.
type purpose string

const (
	toEnter    purpose = "enter" // become a member: a new one, or the next process at a slot
	toActivate purpose = "activate"
	toGrow     purpose = "grow"
	toSettle   purpose = "barrier"
	toLeave    purpose = "leave"
	toClear    purpose = "clear"
	toPurge    purpose = "purge"
	toDepart   purpose = "depart"
	toStay     purpose = "stay"
	toWithdraw purpose = "withdraw" // the requester is joining, and does not go on
	toSetReads purpose = "reads"    // reads are answered by lease, or by quorum
)

// request is the body of OpSubmit.
type request struct {
	ID          OperationID         `json:"id"`
	Purpose     purpose             `json:"purpose"`
	Node        *Identity           `json:"node,omitempty"`
	Name        string              `json:"name,omitempty"`
	Incarnation version.Incarnation `json:"incarnation,omitempty"`
	At          *basis              `json:"at,omitempty"`
	List        uint64              `json:"list,omitempty"`
	Epoch       version.Epoch       `json:"epoch,omitempty"`
	Force       bool                `json:"force,omitempty"`
	Reads       kv.Reads            `json:"reads,omitempty"`
	// Patience is how long the asker still waits, in nanoseconds.
	Patience time.Duration `json:"patience"`
}

// response answers a request.
type response struct {
	Code     code          `json:"code"`
	Cause    code          `json:"cause,omitempty"` // more than the code tells
	Detail   string        `json:"detail,omitempty"`
	Epoch    version.Epoch `json:"epoch,omitempty"` // the epoch that the change made
	Leader   *Identity     `json:"leader,omitempty"`
	Topology *Topology     `json:"topology,omitempty"` // the newest
}

// encodeJSON encodes plain values.
func encodeJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("topology: encode %T: %v", v, err)) // cannot fail
	}
	return b
}

// decodeBody reads a body and validates the topology in it, if there is one.
func decodeBody(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("topology: malformed %T: %w", v, err)
	}
	var t *Topology
	switch v := v.(type) {
	case *presence:
		t = v.Topology
	case *update:
		t = v.Topology
	case *updateReply:
		t = v.Topology
	case *response:
		t = v.Topology
	}
	if t != nil {
		return t.validate()
	}
	return nil
}

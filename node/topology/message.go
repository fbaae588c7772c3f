package topology

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"viakv/node/transport"
	"viakv/quorum/version"
)

// presence answers OpDiscover, and in a refusal tells who is at the address instead.
type presence struct {
	Identity
	State    State     `json:"state"`
	Promised uint64    `json:"promised,omitempty"` // the founder's boot; a founder promises itself
	Leader   uint64    `json:"leader,omitempty"`   // boot
	Topology *Topology `json:"topology,omitempty"` // of a member
	Memory   Memory    `json:"memory,omitzero"`
	Stopping bool      `json:"stopping,omitempty"` // soon; it still answers

	Addresses []netip.Addr `json:"addresses,omitempty"` // of the machine, while the process waits for its seeds

	Going transport.Address `json:"going,omitempty"` // the peer address by which the node is joining another cluster
}

// Memory is how a member stands, in bytes.
type Memory struct {
	Held int64  `json:"held,omitempty"` // of the cluster's data
	Room *int64 `json:"room,omitempty"` // until the first member's limit; nil: no limit is known
}

// promise is the body of OpPromise: the fresh processes that the founder sees, ascending. The founder is the sender.
type promise struct {
	Founder Identity `json:"founder"`
	BootIDs []uint64 `json:"boots"`
}

// objection is the body of an OpPromise that is refused for a reason that the founder would not
// know otherwise.
type objection struct {
	Detail string `json:"detail"`
}

// update is the body of OpHand. Without a topology it only asks.
type update struct {
	Topology *Topology `json:"topology,omitempty"`
}

// updateReply answers it.
type updateReply struct {
	Barrier  version.Epoch `json:"barrier,omitempty"`  // the size change whose barrier this process has run
	Topology *Topology     `json:"topology,omitempty"` // when it is newer than the sender's
}

// purpose of a request. Part of the wire format: append-only.
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
	toWithdraw purpose = "withdraw" // of a node that is joining: it does not go on
)

// request is the body of OpSubmit.
type request struct {
	ID          OperationID         `json:"id"`
	Purpose     purpose             `json:"purpose"`
	Node        *Identity           `json:"node,omitempty"`
	Name        string              `json:"name,omitempty"`
	Incarnation version.Incarnation `json:"incarnation,omitempty"`
	At          *Basis              `json:"at,omitempty"`
	List        uint64              `json:"list,omitempty"`
	Epoch       version.Epoch       `json:"epoch,omitempty"`
	Force       bool                `json:"force,omitempty"`
	Patience    time.Duration       `json:"patience"` // how long the asker still waits, in nanoseconds
}

// response answers it.
type response struct {
	Code     code          `json:"code"`
	Cause    code          `json:"cause,omitempty"` // what the code does not tell
	Detail   string        `json:"detail,omitempty"`
	Epoch    version.Epoch `json:"epoch,omitempty"` // that the change made
	Leader   *Identity     `json:"leader,omitempty"`
	Topology *Topology     `json:"topology,omitempty"` // the newest
}

func encodeBody(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("topology: encode %T: %v", v, err)) // plain values only: cannot fail
	}
	return b
}

// decodeBody reads a body and checks the document in it, if there is one.
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
		return t.Validate()
	}
	return nil
}

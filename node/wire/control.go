package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"viakv/quorum/version"
)

// ControlOp is the code of a request about the topology, and the first byte of its frame. Codes are
// append-only. Codes below FirstControlOp belong to the data path.
type ControlOp uint8

// FirstControlOp is the lowest control code.
const FirstControlOp ControlOp = 32

// Control codes.
const (
	OpDiscover ControlOp = 32 // asks who the receiver is, and what it is a member of
	OpPromise  ControlOp = 33 // asks the receiver to promise that only the sender will found it
	OpFound    ControlOp = 34 // the founding document, from the founder
	OpUpdate   ControlOp = 35 // a newer document; asks which epoch the receiver has adopted
	OpSubmit   ControlOp = 36 // a request for a change, to the leader
	OpRaft     ControlOp = 37 // a message of the consensus group
)

func (o ControlOp) String() string {
	if i := int(o) - int(FirstControlOp); i >= 0 && i <= int(OpRaft-FirstControlOp) {
		return [...]string{"discover", "promise", "found", "update", "submit", "raft"}[i]
	}
	return fmt.Sprintf("control(%d)", uint8(o))
}

// Control is a request about the topology:
//
//	op (1) | cluster (8) | to (8) | from (8) | epoch (8) | body
//
// Integers are big-endian. To and From are boot IDs: a process that was restarted, or that took
// over an address, is not the one that was meant (D1). OpDiscover is the question for a boot ID.
// Its To is zero, or the boot ID of the membership that is looked for where a node may have two.
type Control struct {
	Op       ControlOp
	Cluster  uint64 // zero: the sender is in no cluster
	To, From uint64
	Epoch    version.Epoch // the newest that the sender knows
	Body     []byte
}

const controlHeader = 1 + 4*8

// errControl reports a malformed control message.
var errControl = errors.New("wire: malformed control message")

// AppendControl appends the encoding of c.
func AppendControl(dst []byte, c *Control) []byte {
	dst = append(dst, byte(c.Op))
	dst = binary.BigEndian.AppendUint64(dst, c.Cluster)
	dst = binary.BigEndian.AppendUint64(dst, c.To)
	dst = binary.BigEndian.AppendUint64(dst, c.From)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Epoch))
	return append(dst, c.Body...)
}

// ParseControl decodes a request. The body borrows b.
func ParseControl(b []byte) (Control, error) {
	if len(b) < controlHeader || ControlOp(b[0]) < FirstControlOp {
		return Control{}, errControl
	}
	return Control{
		Op:      ControlOp(b[0]),
		Cluster: binary.BigEndian.Uint64(b[1:]),
		To:      binary.BigEndian.Uint64(b[9:]),
		From:    binary.BigEndian.Uint64(b[17:]),
		Epoch:   version.Epoch(binary.BigEndian.Uint64(b[25:])),
		Body:    b[controlHeader:],
	}, nil
}

// ControlStatus is the first byte of a reply to a Control. Codes are append-only.
type ControlStatus uint8

// Statuses. Zero is invalid.
const (
	ControlOK           ControlStatus = 1
	ControlWrongBootID  ControlStatus = 2 // the process that was meant is not at this address
	ControlWrongCluster ControlStatus = 3 // the receiver is a member of another cluster, or of none
	ControlRefused      ControlStatus = 4 // the body says why
	ControlMalformed    ControlStatus = 5
	ControlClosed       ControlStatus = 6 // the receiver's membership in the cluster is over
	controlStatusEnd    ControlStatus = 7
)

func (s ControlStatus) String() string {
	if s > 0 && s < controlStatusEnd {
		return [...]string{"ok", "wrong boot ID", "wrong cluster", "refused", "malformed", "closed"}[s-1]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// ControlReply answers a Control:
//
//	status (1) | cluster (8) | boot ID (8) | epoch (8) | body
type ControlReply struct {
	Status  ControlStatus
	Cluster uint64
	BootID  uint64 // of the membership that answers
	// Epoch is the one that the membership has adopted: nothing stamped with an older one completes
	// there any more.
	Epoch version.Epoch
	Body  []byte
}

const controlReplyHeader = 1 + 3*8

// AppendControlReply appends the encoding of r.
func AppendControlReply(dst []byte, r *ControlReply) []byte {
	dst = append(dst, byte(r.Status))
	dst = binary.BigEndian.AppendUint64(dst, r.Cluster)
	dst = binary.BigEndian.AppendUint64(dst, r.BootID)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Epoch))
	return append(dst, r.Body...)
}

// ParseControlReply decodes a reply. The body borrows b.
func ParseControlReply(b []byte) (ControlReply, error) {
	if len(b) < controlReplyHeader || b[0] == 0 || ControlStatus(b[0]) >= controlStatusEnd {
		return ControlReply{}, errControl
	}
	return ControlReply{
		Status:  ControlStatus(b[0]),
		Cluster: binary.BigEndian.Uint64(b[1:]),
		BootID:  binary.BigEndian.Uint64(b[9:]),
		Epoch:   version.Epoch(binary.BigEndian.Uint64(b[17:])),
		Body:    b[controlReplyHeader:],
	}, nil
}

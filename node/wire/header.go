package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"viakv/quorum/version"
)

// ErrMalformed is matched by every error of a decoder of requests and replies.
var ErrMalformed = errors.New("wire: malformed message")

// Op is what a request asks for, and the request's first byte. Codes from 32 on are control
// messages.
type Op uint8

// Operations. Data operations except Remove are answered from memory. Bulk operations travel on a
// connection of their own.
const (
	Read   Op = 1 // the record of a key
	Vote   Op = 3 // vote for a tombstone
	Remove Op = 4 // coordinate a remove, as the key's owner
	// Heartbeat asks whether the receiver is there. It carries the sender's report, and its
	// reply the receiver's.
	Heartbeat Op = 6
	Goodbye   Op = 7 // the sender is about to stop; the body is empty
	Lease     Op = 8 // ask for a lease, and give one back
	Close     Op = 9 // see to it that a session of a lease ends
	// Stores asks to merge records. Its predecessor, 2, merged one.
	Stores Op = 10

	Digests Op = 16 // the digests of ranges
	Tags    Op = 17 // the tags of a range's records
	Copy    Op = 18 // the records of a range
	Fetch   Op = 19 // the records at some ranks
	Push    Op = 20 // merge records
	Purge   Op = 21 // confirm a list of tombstones, and keep it
	Report  Op = 22 // the digest of all that the member holds, for people; the body is empty
)

var opNames = [...]string{
	Read: "read", Vote: "vote", Remove: "remove", Heartbeat: "heartbeat", Goodbye: "goodbye", Lease: "lease", Close: "close", Stores: "stores",
	Digests: "digests", Tags: "tags", Copy: "copy", Fetch: "fetch", Push: "push", Purge: "purge", Report: "report",
}

func (o Op) String() string {
	if int(o) < len(opNames) && opNames[o] != "" {
		return opNames[o]
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// Status is how a request was answered, and the reply's first byte.
type Status uint8

// Statuses.
const (
	OK Status = 1 // done; the body is the answer
	// Same answers a Read: the record has the tag that the request carried.
	Same             Status = 2
	Nack             Status = 3  // of Vote and Purge: refused
	Behind           Status = 4  // the receiver's epoch is older: the sender updates it
	Stale            Status = 5  // the request's epoch is older; the body is the receiver's topology
	NotActive        Status = 6  // the receiver or the sender counts for nothing at this epoch
	WrongCluster     Status = 7  // the receiver is in another cluster, or in none
	WrongDestination Status = 8  // the receiver is another incarnation
	Overloaded       Status = 9  // nothing was done; the sender may try another peer
	Malformed        Status = 10 // the request could not be read
	Failed           Status = 11 // nothing was done; the body says why
	Unknown          Status = 12 // of Remove: the outcome is unknown; see Contended
	Missing          Status = 13 // of Remove: there is nothing to remove
)

// Contended is the body of the answer Unknown to a Remove that overlapping requests for the key
// left open. For any other cause the body is empty.
const Contended = "contended"

func (s Status) String() string {
	if s >= OK && s <= Missing {
		return [...]string{"ok", "same", "nack", "behind", "stale", "not active", "wrong cluster", "wrong destination",
			"overloaded", "malformed", "failed", "unknown", "missing"}[s-1]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// Stamp says between which incarnations, and at which epoch of which cluster, a request is valid
// (D1). The receiver checks it. Mark only travels along.
type Stamp struct {
	Cluster uint64
	Epoch   version.Epoch
	To      version.Incarnation
	From    version.Incarnation
	Mark    uint64 // the sender's watermark (L6)
}

// AppendRequest appends the header of a request; the body follows it.
func AppendRequest(dst []byte, op Op, s Stamp) []byte {
	dst = append(dst, byte(op))
	dst = binary.LittleEndian.AppendUint64(dst, s.Cluster)
	dst = binary.AppendUvarint(dst, uint64(s.Epoch))
	dst = binary.AppendUvarint(dst, uint64(s.To))
	dst = binary.AppendUvarint(dst, uint64(s.From))
	return binary.AppendUvarint(dst, s.Mark)
}

// ParseRequest decodes the header of a request and returns its body.
func ParseRequest(b []byte) (op Op, s Stamp, body []byte, err error) {
	d := decoder{b: b}
	op = Op(d.byte())
	s.Cluster = d.uint64()
	s.Epoch = version.Epoch(d.uvarint())
	s.To = version.Incarnation(d.uvarint())
	s.From = version.Incarnation(d.uvarint())
	s.Mark = d.uvarint()
	if op == 0 {
		d.bad = true
	}
	return op, s, d.b, d.err()
}

// Reply is a decoded reply: its header and its body.
type Reply struct {
	Status  Status
	Counter uint64        // the replier's node-wide counter (D3)
	Mark    uint64        // the replier's watermark, at most Counter+1 (L6)
	Epoch   version.Epoch // the epoch at which the reply was given
	Body    []byte
}

// AppendReply appends the header of a reply; the body follows it. A replier that tells nothing of
// itself has a counter and a mark of zero.
func AppendReply(dst []byte, s Status, counter, mark uint64, epoch version.Epoch) []byte {
	dst = append(dst, byte(s))
	dst = binary.AppendUvarint(dst, counter)
	dst = binary.AppendUvarint(dst, counter+1-mark)
	return binary.AppendUvarint(dst, uint64(epoch))
}

// ParseReply decodes a reply.
func ParseReply(b []byte) (r Reply, err error) {
	d := decoder{b: b}
	r.Status = Status(d.byte())
	r.Counter = d.uvarint()
	if behind := d.uvarint(); behind > r.Counter+1 {
		d.bad = true
	} else {
		r.Mark = r.Counter + 1 - behind
	}
	r.Epoch = version.Epoch(d.uvarint())
	r.Body = d.b
	if r.Status == 0 {
		d.bad = true
	}
	return r, d.err()
}

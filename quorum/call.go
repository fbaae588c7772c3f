package quorum

import (
	"time"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// Kind is what a call asks of a peer.
type Kind uint8

// Kinds of calls.
const (
	ReadTag    Kind = iota + 1 // the record without its value
	ReadRecord                 // the record
	Store                      // merge records
	Vote                       // vote for a tombstone
	Remove                     // coordinate a remove; sent to the key's owner
)

// Status is how a call ended.
type Status uint8

// Statuses of calls. Only OK, Same, Nack and Missing are replies of the replica itself.
const (
	Failed  Status = iota // the call was lost or refused, or the reply was nonsense; see Err
	OK                    // the reply has the record, the acknowledgement or the vote
	Same                  // the replica's record has the tag in Have
	Nack                  // the vote was refused
	Missing               // of Remove: there was nothing to remove
	Stale                 // the peer knows a newer epoch; this node's topology has been told
	Open                  // of Remove: the outcome is unknown
)

// Call is one request to one member and its reply.
//
// The code that starts a call must not touch it until it has ended: by End, or by a Cancel that
// returned true.
type Call struct {
	// The request.
	Kind     Kind
	Urgent   bool // false: may wait a moment, to be sent together with others
	Member   int  // index in the view's Members
	Target   version.Incarnation
	Key      []byte      // of all but Store and Vote; read by Peers.Start only
	Have     version.Tag // of reads: the tag that the coordinator holds
	Records  []Entry     // of Store and Vote, which has one; read by Peers.Start only
	R, W     kv.Quorum   // of Remove: as the client requested
	Began    time.Time   // when the call's phase began
	Deadline time.Time   // when the caller stops waiting
	Sequence uint64      // of Remove: names the request, together with the sender's incarnation
	// Relied, of Store, is the member's session that counts here, if nobody was asked before (L14).
	Relied uint64

	// The reply.
	Status    Status
	Full      bool           // the replica has reached its memory limit
	Confirmed bool           // the replica knows its record to be complete (L6)
	Doubts    []int          // of Store: the records, by place, for which the replica does not vouch (L14)
	Names     []lease.Name   // the sessions that the replica names (L4)
	Reply     version.Record // borrows the carrier's buffer until the call is used again
	// NotSent, of Failed: it is certain that the peer has not done what the request asks for, and
	// will not do it.
	NotSent bool
	Err     error

	// Carrier belongs to the Peers: it is what they need to send this call. They keep it from one
	// use to the next.
	Carrier any

	started bool // guarded by the operation's mutex
	op      *operation
}

// MaxRecords is how many records a call may have.
const MaxRecords = 1024

// Entry is a key and its record.
type Entry struct {
	Key    []byte
	Record *version.Record
}

// Trace returns the trace of the request that the call is part of. Like Key, it is read by
// Peers.Start only.
func (c *Call) Trace() kv.Trace { return c.op.asked.Trace }

// Hints notes which members missed a key. Miss must not block.
type Hints interface {
	Miss(member string, incarnation version.Incarnation, key []byte)
}

// Peers carries calls to other members.
type Peers interface {
	// Start sends the call, stamped with the view's epoch and the target incarnation. It encodes
	// the request and returns at once, so Key and Record may be reused while the call is open. If
	// the peer is behind the epoch, Start brings it up to date and asks it again. The call may end
	// before Start returns. Before a call ends with a reply, the view's counter has moved up to
	// that of the replier (D3).
	Start(v *replica.View, c *Call)
	// Cancel withdraws a call. It returns true when the call will not end any more.
	Cancel(c *Call) bool
	// Likely reports whether the member can be expected to answer now.
	Likely(v *replica.View, member int) bool
	// Answers reports whether no answer of the member is known to be overdue. It is stricter than
	// Likely, which gives a member another chance after a while. It is meant for a request that
	// must not be repeated elsewhere when no answer comes.
	Answers(v *replica.View, member int) bool
	// Heard returns when the last reply to any request came back from the member. It is zero when
	// none has come yet.
	Heard(v *replica.View, member int) time.Time
	// Close sees to it that a session that the member has given ends, and notes in the view's Ended
	// when it is over. It returns at once. While that is under way, further calls do nothing.
	Close(v *replica.View, member int, n lease.Name)
}

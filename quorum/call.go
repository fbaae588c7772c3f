package quorum

import (
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// Kind is what a call asks of a peer.
type Kind uint8

// Kinds of calls.
const (
	ReadTag    Kind = iota + 1 // the record without its value
	ReadRecord                 // the record
	Store                      // merge a record
	Vote                       // vote for a tombstone
	Remove                     // coordinate a remove: sent to the key's owner
	StoreIf                    // store a record if the replica holds what the coordinator holds (D10)
)

// Status is how a call ended.
type Status uint8

// Statuses of calls. Everything but OK, Same, Nack and Missing is no reply of the replica.
const (
	Failed  Status = iota // lost, refused, or answered with nonsense: see Err
	OK                    // the record, the ack, the vote
	Same                  // the replica's record has the tag that the call carried; of StoreIf: had it, and the record that was offered has taken its place
	Nack                  // the vote was refused
	Missing               // of Remove: there was nothing to remove
	Stale                 // the peer knows a newer epoch; it has been handed to the topology
	Open                  // of Remove and StoreIf: the outcome is unknown
)

// Call is one request to one member and its reply.
//
// Whoever starts a call must not touch it until it has ended: by End, or by a Cancel that returned
// true.
type Call struct {
	// The request.
	Kind     Kind
	Urgent   bool // false: may wait a moment for company
	Member   int  // index in the view's Members
	Target   version.Incarnation
	Key      []byte          // read only while the call is started
	Have     version.Tag     // of reads and StoreIf: the coordinator's own
	Record   *version.Record // of Store, Vote and StoreIf; read only while the call is started
	R, W     kv.Quorum       // of Remove: as requested
	Began    time.Time       // when its phase did
	Deadline time.Time       // until when the caller waits
	Sequence uint64          // of Remove: with the sender's incarnation, names the request

	// The reply.
	Status  Status
	Counter uint64         // the replica's node-wide counter (D3)
	Full    bool           // the replica is over its memory limit
	Reply   version.Record // borrows the carrier's buffer until the call is used again
	NotSent bool           // of Failed: the peer certainly has not done, and will not do, what the request asks for
	Err     error

	// Carrier is the Peers' own: what it needs to send this call, kept from one use to the next.
	Carrier any

	started bool // guarded by the operation's mutex
	op      *operation
}

// End tells the call's operation that the reply fields are set. It must be called exactly once for
// each started call that was not cancelled, without any lock that Cancel takes. It does not block,
// and the call belongs to its operation again.
func (c *Call) End() { c.op.ended(c) }

// Trace is that of the request that the call is part of. Like Key, it may be read only while the
// call is started.
func (c *Call) Trace() kv.Trace { return c.op.asked.Trace }

// Hints takes note of members that missed a key. Miss must not block.
type Hints interface {
	Miss(member string, incarnation version.Incarnation, key []byte)
}

// Peers carries calls to other members.
type Peers interface {
	// Start sends the call, stamped with the view's epoch and the target incarnation, and returns
	// at once: the request is encoded before it does, so that Key and Record may go away while the
	// call is open. A peer that is behind the epoch is brought up to date and asked again without
	// the caller's doing. The end may come before Start returns.
	Start(v *replica.View, c *Call)
	// Cancel withdraws a call: true when it will not end any more.
	Cancel(c *Call) bool
	// Likely reports whether the member can be expected to answer now.
	Likely(v *replica.View, member int) bool
	// Answers reports whether the member is not known to owe an answer. It is stricter than Likely,
	// which gives a member another chance after a while: this is for what must not be asked
	// elsewhere if no answer comes.
	Answers(v *replica.View, member int) bool
	// Heard returns when something last came back from the member, whatever it was; the zero time:
	// nothing did yet.
	Heard(v *replica.View, member int) time.Time
}

// Package rule names the rules of the protocol that can be switched off. The mutation gate
// (node/simulation) switches off one after the other, to see whether the tests notice. Without the
// build tag "mutation" every rule holds, and the compiler removes the switches.
package rule

// Rule is one rule of the protocol. docs/consistency.md and docs/testing.md say what the rules are
// for.
type Rule uint8

// The rules with a switch.
const (
	None        Rule = iota
	Fence            // D1: requests of older epochs are refused
	Destination      // D1: requests for another incarnation are refused
	// Requery is two parts of D2. A query is repeated when its epoch ends before the write phase.
	// No write goes on past a clear, or past a purge that may have removed a later state of its
	// key.
	Requery
	NodeCounter // D3: one counter per node
	WriteBack   // D4: before a read answers, it stores at W replicas what is not known to be complete
	Firm        // D4: W replicas are so many that later reads miss nothing after a crash, a join or a leave
	// WriteQuery is D4 for writes: the query phase of a write asks at least R and N-W+1 replicas,
	// whatever the r of the request is.
	WriteQuery
	Meet          // D7: until a change of size is settled, quorums meet those of the size before
	OneTag        // D6: a write is never repeated under another tag
	RealAcks      // D8: a hint is no acknowledgement
	VoteOnce      // remove: a replica votes for one request only
	Contested     // remove: a tombstone of which copies with different owners met belongs to no request
	EnoughCopies  // M3: a rebuild merges N-W+1 copies
	PendingNoVote // M4: a rebuilding member counts for nothing
	Sealing       // M5: the next change waits until nothing stamped with an older epoch can complete
	Barrier       // M6: a change of size is followed by a sync barrier
	ClearSealed   // M8: a clear is answered once it is sealed
	PurgeAll      // G1: only tombstones that all N members hold are purged
	Quiet         // L10: an epoch is sealed only once the leases are over that members below it may rely on
	Confirmed     // L6: only what lies below a watermark counts as complete
	HeldBack      // L6: a record whose request got no answer holds the watermark back
	Names         // L4: an acknowledgement counts only once the holders that it names have acknowledged, too
	NamesAfter    // L4: names are looked up after the store
	RepliesName   // L7: a reply to a query names the holders of leases, as an acknowledgement does
	Asking        // L1: a lease is counted from the moment before its holder asked
	CatchUp       // L2: a session counts once its holder has merged what the grantor held
	Joiner        // L2: a joiner gives no lease before its barrier is done
	Processes     // L3: only sessions of processes that are active at the epoch count
	ClosedStands  // L5: a session that was closed stands until its grantor's clock is past its end
	Absence       // L6: at the epoch of a clear, absence is confirmed only once that is known to be sealed
	Vouch         // L14: R members vouch for a record that was written without asking
	EnoughVouch   // L14: no fewer than R do
	ReliedOn      // L14: no session makes a member vouch but the one that the coordinator relied on
	JudgedAgain   // L14: at a new epoch, this node's own copy is judged anew, too
	OwnersMark    // L6: a tombstone is confirmed by the number of its remove
	ScanConfirmed // L7: a scan reads one by one what is not known to be complete
	KeyedHash     // K1: without the seed nobody can make keys collide under the hash that places them
	end
)

var names = [end]string{"none", "fence", "destination", "requery", "node-counter", "write-back", "firm", "write-query", "meet", "one-tag", "real-acks",
	"vote-once", "contested", "enough-copies", "pending-no-vote", "sealing", "barrier", "clear-sealed", "purge-all", "quiet", "confirmed",
	"held-back", "names", "names-after", "replies-name", "asking", "catch-up", "joiner", "processes", "closed-stands", "absence",
	"vouch", "enough-vouch", "relied-on", "judged-again", "owners-mark", "scan-confirmed", "keyed-hash"}

func (r Rule) String() string { return names[r] }

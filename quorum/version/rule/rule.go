// Package rule names the rules of the protocol that can be switched off to see whether the tests notice: the mutation gate
// (node/simulation). Without the build tag "mutation" every rule holds, and the compiler removes the switches.
package rule

// Rule is one rule of the protocol; docs/consistency.md and docs/testing.md say what each is for.
type Rule uint8

// The rules with a switch.
const (
	None          Rule = iota
	Fence              // D1: requests of older epochs are refused
	Destination        // D1: requests for another incarnation are refused
	Requery            // D2: an epoch that ends between the phases repeats the query; no write goes on past a purge or a clear
	NodeCounter        // D3: one counter per node
	WriteBack          // D4: a read stores what it found at W before it answers
	Firm               // D4: a read answers only what W replicas hold
	WriteQuery         // D4: the query phase of a write asks R and N-W+1, whatever the request's r is
	Meet               // D7: until a change of size is settled, quorums meet those of the size before
	OneTag             // D6: a write is never repeated under another tag
	RealAcks           // D8: a hint is no acknowledgement
	OneCopy            // D10: a replica carries out one copy of an offer
	Overtaken          // D10: an offer that may have been taken and is below another write has an unknown outcome
	VoteOnce           // remove: a replica votes for one request only
	Contested          // remove: copies with different owners belong to nobody
	EnoughCopies       // M3: a rebuild merges N-W+1 copies
	PendingNoVote      // M4: a rebuilding member counts for nothing
	Sealing            // M5: an epoch is left only once nothing older can complete
	Barrier            // M6: a size change is followed by a sync
	ClearSealed        // M8: a clear answers once it is sealed
	PurgeAll           // G1: only tombstones that all N hold are purged
	KeyedHash          // K1: nobody can make keys collide under the hash that places them
	end
)

var names = [end]string{"none", "fence", "destination", "requery", "node-counter", "write-back", "firm", "write-query", "meet", "one-tag", "real-acks", "one-copy", "overtaken", "vote-once", "contested",
	"enough-copies", "pending-no-vote", "sealing", "barrier", "clear-sealed", "purge-all", "keyed-hash"}

func (r Rule) String() string { return names[r] }

// Named returns the rule of that name, None when there is none.
func Named(name string) Rule {
	for i, n := range names {
		if n == name {
			return Rule(i)
		}
	}
	return None
}

// All returns the rules that have a switch.
func All() (all []Rule) {
	for r := None + 1; r < end; r++ {
		all = append(all, r)
	}
	return all
}

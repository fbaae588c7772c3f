package kv

import (
	"fmt"
	"strings"
	"time"
)

// Reading is how a node answers the reads that name no number of replicas, at present. The counts
// are since the node's start.
type Reading struct {
	Alone bool      // from its own copy, without asking another member
	Why   NotAlone  // why not; empty: Alone
	Since time.Time // since when this is so

	Leases, Need int         // how many leases of other members count, and how many have to
	Lacks        []LeaseLack // the others whose leases do not count

	AnsweredAlone uint64 // reads that were answered from the own copy
	AskedOthers   uint64 // reads that asked other members
	Repaired      uint64 // reads of these that found replicas to differ
	// Waited is how many sets and removes waited for members that hold leases, and WaitedFor how
	// long they did, all together.
	Waited    uint64
	WaitedFor time.Duration
}

// NotAlone is why a node asks other members for each read.
type NotAlone string

// The reasons.
const (
	NotAloneSetting  NotAlone = "setting"        // reads of the cluster are set to quorum
	NotAloneWeak     NotAlone = "weak quorums"   // R + W is not above N
	NotAloneIdle     NotAlone = "idle"           // no request has needed leases lately, so none are held
	NotAloneLeases   NotAlone = "too few leases" // others do not give leases, or they run out
	NotAloneCatching NotAlone = "catching up"    // the node merges what those hold that have given leases
)

// NotAloneReasons returns all reasons.
func NotAloneReasons() []NotAlone {
	return []NotAlone{NotAloneSetting, NotAloneWeak, NotAloneIdle, NotAloneLeases, NotAloneCatching}
}

// LeaseLack is a member whose lease does not count, and why.
type LeaseLack struct {
	Member string
	Why    string // one of LeaseLacks
}

// LeaseLacks returns all reasons why a member's lease may not count.
func LeaseLacks() []string {
	return []string{"no process", "not asked", "no answer", "another epoch", "not given", "catching up", "ran out"}
}

// lacking has the sentences of LeaseLacks.
var lacking = map[string]string{
	"no process":    "%s has no process that serves",
	"not asked":     "%s was not asked yet",
	"no answer":     "%s does not answer",
	"another epoch": "%s is at another epoch",
	"not given":     "%s gives none",
	"catching up":   "this node catches up with %s",
	"ran out":       "that of %s was not renewed in time",
}

// Reason says why the node asks other members, without a full stop. It is empty when it does not.
func (r *Reading) Reason() string {
	switch r.Why {
	case NotAloneSetting:
		return "reads of the cluster are set to quorum"
	case NotAloneWeak:
		return "R + W is not above N, so no number of leases is enough"
	case NotAloneIdle:
		return "no request has needed leases lately, so none are held"
	case NotAloneLeases, NotAloneCatching:
		var why []string
		for _, l := range r.Lacks {
			why = append(why, fmt.Sprintf(lacking[l.Why], l.Member))
		}
		return fmt.Sprintf("%d of the leases of other members count, and %d must: %s", r.Leases, r.Need, strings.Join(why, ", "))
	}
	return ""
}

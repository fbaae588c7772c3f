// Package document has the shape of the JSON that the API answers with about the mesh. It is shared
// by those that write it and read it: the server, the Go client and the command line. It knows
// nothing of a store. Fields may be added; they never change their meaning. api/openapi describes
// them, too.
package document

import "time"

// Version is the body of /version: the program that answers.
type Version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Go      string `json:"go"`
}

// Joined is the body of a /join that succeeded.
type Joined struct {
	Node    string   `json:"node"`
	Cluster string   `json:"cluster,omitempty"`
	Epoch   uint64   `json:"epoch"`
	Members []string `json:"members"`
}

// Left is the body of a /leave that succeeded.
type Left struct {
	Node    string `json:"node"`
	Epoch   uint64 `json:"epoch"`
	Forced  bool   `json:"forced,omitempty"`
	MayLose string `json:"mayLose,omitempty"` // what a forced leave may have lost; empty: nothing
}

// Reads is the body of a /reads that succeeded.
type Reads struct {
	Reads string `json:"reads"` // as Status.Reads
	Epoch uint64 `json:"epoch"` // an epoch at which reads are answered so
}

// Status is the body of /cluster.
type Status struct {
	Mode       string `json:"mode"` // "mesh", "lone", or the database's name
	Cluster    string `json:"cluster,omitempty"`
	Self       string `json:"self"`
	State      string `json:"state"` // of this node: as Member.State, or "founding", "joining", "left"
	Reason     string `json:"reason,omitempty"`
	Epoch      uint64 `json:"epoch"`
	Generation uint64 `json:"generation"`
	Purge      uint64 `json:"purge"`
	Leader     string `json:"leader,omitempty"` // of the topology's consensus group, as last known
	N          int    `json:"n"`
	R          int    `json:"r"`
	W          int    `json:"w"`
	Weak       bool   `json:"weak"` // R + W ≤ N: reads may be stale

	// ReadQuorum and WriteQuorum are what R and W are derived from when N changes: "quorum", "all"
	// or a number. AllowWeak says whether R + W ≤ N is allowed.
	ReadQuorum  string `json:"readQuorum,omitempty"`
	WriteQuorum string `json:"writeQuorum,omitempty"`
	AllowWeak   bool   `json:"allowWeak,omitempty"`

	// Reads is how reads are answered: "lease" or "quorum". LeaseMicros is how long a lease lasts.
	// Both are absent where there is no mesh.
	Reads       string `json:"reads,omitempty"`
	LeaseMicros int64  `json:"leaseMicros,omitempty"`

	Unsettled  string   `json:"unsettled"` // a size change under way, or empty
	Keys       int64    `json:"keys"`
	Tombstones int64    `json:"tombstones"`
	Bytes      int64    `json:"bytes"`
	MaxBytes   int64    `json:"maxBytes"` // 0: no limit
	Digest     string   `json:"digest"`   // of everything held; equal on nodes that hold the same
	Members    []Member `json:"members"`

	// Warnings are sentences for an operator: what may go wrong although all members serve.
	Warnings []string `json:"warnings,omitempty"`

	Health Health `json:"health"`
	// Events are the last changes that this node has seen, as many as were asked for, the newest
	// last.
	Events []Event `json:"events,omitempty"`
}

// Health is the verdict of the node that answers: what becomes of the requests that it gets now.
type Health struct {
	Verdict string `json:"verdict"` // "serving", "degraded", "reads only" or "refusing"
	Reason  string `json:"reason"`
	Next    string `json:"next,omitempty"` // what to do, with the command; empty: nothing

	CanRead   bool `json:"canRead"`   // a get is answered
	CanWrite  bool `json:"canWrite"`  // a set is carried out
	CanChange bool `json:"canChange"` // members can join and leave

	Answering     int `json:"answering"`     // active members whose processes answer, this one included
	ReadNeed      int `json:"readNeed"`      // how many of them a read needs, by lease where it can
	WriteNeed     int `json:"writeNeed"`     // how many a write needs
	ReadFailures  int `json:"readFailures"`  // how many of them may fail before reads do
	WriteFailures int `json:"writeFailures"` // how many may fail before writes do

	// Copies is the number of full copies at hand. CopiesNeed of them together hold every
	// acknowledged write.
	Copies     int `json:"copies"`
	CopiesNeed int `json:"copiesNeed"`
	// MayLose says what may be lost if the members that do not answer never come back. Empty:
	// nothing.
	MayLose string `json:"mayLose,omitempty"`

	Since time.Time `json:"since,omitzero"` // since when the verdict is so
}

// Event is one change that a node has seen.
type Event struct {
	Sequence uint64    `json:"sequence"` // counts the events of the node's process
	At       time.Time `json:"at"`
	Name     string    `json:"name"`             // of a closed list: see api/openapi
	Member   string    `json:"member,omitempty"` // whom it is about; empty: the cluster
	Text     string    `json:"text"`
}

// Member is one slot of the mesh.
type Member struct {
	Name      string `json:"name"`
	State     string `json:"state"`     // "active", "rebuilding", "joining", "vacant"
	Reachable bool   `json:"reachable"` // Reach is "answers"
	// Reach is "answers", "unheard", "silent", "no connection", "restarted" or "elsewhere". A
	// restarted process has lost its memory. Since says when that was found to be so.
	Reach       string    `json:"reach"`
	Since       time.Time `json:"since,omitzero"`
	HTTP        string    `json:"http"`
	Peer        string    `json:"peer"`
	Incarnation uint64    `json:"incarnation"`
	Ownership   float64   `json:"ownership"` // share of the partitions owned, 0 to 1
	Hints       int       `json:"hints"`     // how many keys this node holds hints of for the member
	Sync        *Sync     `json:"sync,omitempty"`
	RTTMicros   int64     `json:"rttMicros,omitempty"`

	// Bytes, MaxBytes and Full are what the member has said of its memory. All are zero when it has
	// said nothing of late. A member with a limit tells all others.
	Bytes    int64 `json:"bytes,omitempty"`
	MaxBytes int64 `json:"maxBytes,omitempty"` // 0: no limit
	Full     bool  `json:"full,omitempty"`     // new values are refused, at all nodes

	// Reading is how the member answers reads. Only the node that answers tells it, of itself.
	Reading *Reading `json:"reading,omitempty"`
}

// Reading is how a node answers the reads that name no number of replicas, at present. The counts
// are since the node's start.
type Reading struct {
	State string `json:"state"` // "alone": from its own copy; "quorum": by asking other members
	// Why is why it is not "alone": of a closed list, see api/openapi. Reason says it in words, and
	// names the members. Both are absent otherwise.
	Why    string    `json:"why,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"` // since when this is so

	Leases int         `json:"leases"` // leases of other members that count
	Need   int         `json:"need"`   // how many have to
	Lacks  []LeaseLack `json:"lacks,omitempty"`

	Alone    uint64 `json:"alone"`    // reads that were answered from the own copy
	Quorum   uint64 `json:"quorum"`   // reads that asked other members
	Repaired uint64 `json:"repaired"` // of these, reads that found replicas to differ
	// Waited is how many sets and removes waited for members that hold leases, for a millisecond or
	// more, and WaitedSeconds how long they did, all together.
	Waited        uint64  `json:"waited"`
	WaitedSeconds float64 `json:"waitedSeconds"`
}

// LeaseLack is a member whose lease does not count.
type LeaseLack struct {
	Member string `json:"member"`
	Why    string `json:"why"` // of a closed list, see api/openapi
}

// Sync is the progress of making a member equal to the others.
type Sync struct {
	Kind     string  `json:"kind"` // "rebuild", "join", "barrier", "repair"
	Done     float64 `json:"done"` // 0 to 1
	Keys     int64   `json:"keys"`
	Bytes    int64   `json:"bytes"`
	LeftSecs float64 `json:"leftSeconds"`
}

// Plan is the body of /plan: what a change of the members would do to the quorums, as one node sees
// the mesh now. The cluster decides anew when the change is asked for.
type Plan struct {
	Change   string   `json:"change"`           // "join", or "leave of NAME"
	Possible bool     `json:"possible"`         // false: the change would be refused now
	Reason   string   `json:"reason,omitempty"` // why the change would be refused
	Now      Strength `json:"now"`
	After    Strength `json:"after"`
	Notes    []string `json:"notes,omitempty"`
	// MayLose says what a leave by force would lose now, without the others' consent. Empty:
	// nothing, or no leave is planned.
	MayLose string `json:"mayLose,omitempty"`
}

// Strength is how many failures a mesh survives.
type Strength struct {
	N             int `json:"n"`
	Serving       int `json:"serving"` // active members whose processes answer
	R             int `json:"r"`
	W             int `json:"w"`
	ReadFailures  int `json:"readFailures"`  // how many of the serving members may fail before reads do
	WriteFailures int `json:"writeFailures"` // the same for writes
}

// History is the body of /history: what the cluster has answered and refused, and how fast.
type History struct {
	Self string `json:"self"`
	// Scope is "cluster" where rates and times are summed over the members that report, and "node"
	// where they are those of the node that answers alone.
	Scope        string  `json:"scope"`
	EverySeconds int     `json:"everySeconds"`  // the time between two points
	Points       Points  `json:"points"`        // an hour, or what is later than was asked for
	Now          *Points `json:"now,omitempty"` // one point, of the last second; absent before there is one
}

// Points are points in time, the oldest first, by columns of equal length.
type Points struct {
	At []int64 `json:"at"` // Unix milliseconds

	// Reads and Writes were answered, a second; the others were refused. They are null while no
	// member reports.
	Reads         []*float32 `json:"reads"`
	Writes        []*float32 `json:"writes"`
	ReadsRefused  []*float32 `json:"readsRefused"`
	WritesRefused []*float32 `json:"writesRefused"`

	P50 []*float32 `json:"p50"` // seconds to answer; null while nothing was answered
	P99 []*float32 `json:"p99"`

	Keys  []int64 `json:"keys"` // on the node that answers
	Bytes []int64 `json:"bytes"`

	Members   []int    `json:"members"`
	Reporting []int    `json:"reporting"` // members whose requests the rates have
	Answering []int    `json:"answering"` // active members that answer
	Verdict   []string `json:"verdict"`   // as Health.Verdict
}

// Package document has the shape of the JSON that the API answers with about the mesh. It is shared
// by those that write it and read it: the server, the Go client and the command line. It knows
// nothing of a store. Fields may be added; they never change their meaning. api/openapi describes
// them, too.
package document

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

	Unsettled  string   `json:"unsettled"` // a size change under way, or empty
	Keys       int64    `json:"keys"`
	Tombstones int64    `json:"tombstones"`
	Bytes      int64    `json:"bytes"`
	MaxBytes   int64    `json:"maxBytes"` // 0: no limit
	Digest     string   `json:"digest"`   // of everything held; equal on nodes that hold the same
	Members    []Member `json:"members"`

	// Warnings are sentences for an operator: what may go wrong although all members serve.
	Warnings []string `json:"warnings,omitempty"`
}

// Member is one slot of the mesh.
type Member struct {
	Name        string  `json:"name"`
	State       string  `json:"state"` // "active", "rebuilding", "joining", "vacant"
	Reachable   bool    `json:"reachable"`
	HTTP        string  `json:"http"`
	Peer        string  `json:"peer"`
	Incarnation uint64  `json:"incarnation"`
	Ownership   float64 `json:"ownership"` // share of the partitions owned, 0 to 1
	Hints       int     `json:"hints"`     // how many keys this node holds hints of for the member
	Sync        *Sync   `json:"sync,omitempty"`
	RTTMicros   int64   `json:"rttMicros,omitempty"`

	// Bytes, MaxBytes and Full are what the member has said of its memory. All are zero when it has
	// said nothing of late. A member with a limit tells all others.
	Bytes    int64 `json:"bytes,omitempty"`
	MaxBytes int64 `json:"maxBytes,omitempty"` // 0: no limit
	Full     bool  `json:"full,omitempty"`     // new values are refused, at all nodes
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
}

// Strength is how many failures a mesh survives.
type Strength struct {
	N             int `json:"n"`
	Serving       int `json:"serving"` // members that are active and reachable
	R             int `json:"r"`
	W             int `json:"w"`
	ReadFailures  int `json:"readFailures"`  // how many of the serving members may fail before reads do
	WriteFailures int `json:"writeFailures"` // the same for writes
}

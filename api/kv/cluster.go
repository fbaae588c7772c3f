package kv

import "context"

// Cluster is the control side of a mesh. A store on a database answers ErrNotMesh to Join and Leave.
type Cluster interface {
	// Join makes this node a full member of the mesh that the peer (host:port) belongs to. What this node held on
	// its own is brought along as concurrent writes.
	Join(ctx context.Context, peer string) error
	// Leave removes a member: this node when the name is empty. With force it removes members without a majority's consent,
	// and the report says what may be lost.
	Leave(ctx context.Context, node string, force bool) (LeaveReport, error)
	// Status describes the mesh as this node sees it. It never blocks on a peer.
	Status() Status
}

// LeaveReport says what a leave did.
type LeaveReport struct {
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
	State      string `json:"state"` // of this node: see Member.State, or "founding", "joining", "left"
	Reason     string `json:"reason,omitempty"`
	Epoch      uint64 `json:"epoch"`
	Generation uint64 `json:"generation"`
	Purge      uint64 `json:"purge"`
	Leader     string `json:"leader,omitempty"` // of the topology's consensus group, as last known
	N          int    `json:"n"`
	R          int    `json:"r"`
	W          int    `json:"w"`
	Weak       bool   `json:"weak"` // R + W ≤ N: reads may be stale

	// What R and W follow from when N changes: "quorum", "all" or a number, and whether R + W ≤ N is allowed.
	ReadQuorum  string `json:"readQuorum,omitempty"`
	WriteQuorum string `json:"writeQuorum,omitempty"`
	AllowWeak   bool   `json:"allowWeak,omitempty"`

	Unsettled  string   `json:"unsettled"` // a size change under way, or empty
	Keys       int64    `json:"keys"`
	Tombstones int64    `json:"tombstones"`
	Bytes      int64    `json:"bytes"`
	MaxBytes   int64    `json:"maxBytes"` // 0: no limit
	Digest     string   `json:"digest"`   // of everything held; equal on nodes that hold the same
	Partitions []string `json:"partitions,omitempty"`
	Members    []Member `json:"members"`

	// Warnings are sentences for an operator: what will not go well although all members serve.
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
	Hints       int     `json:"hints"`     // keys this node holds back for the member
	Sync        *Sync   `json:"sync,omitempty"`
	RTTMicros   int64   `json:"rttMicros,omitempty"`

	// What the member has said of its memory; all zero when it has not of late. Those that have a
	// limit say it to all others.
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

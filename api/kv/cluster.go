package kv

import (
	"context"
	"fmt"
	"strings"
	"time"

	"viakv/api/health"
	"viakv/quorum/version"
)

// Cluster is the control side of a mesh. A store on a database answers ErrNotMesh to Join, Leave
// and SetReads.
type Cluster interface {
	// Join makes this node a full member of the mesh that the peer (host:port) belongs to. The node
	// imports its own keys, those that it held before the join, into the mesh as concurrent writes.
	Join(ctx context.Context, peer string) error
	// Leave removes a member: this node when the name is empty. With force it removes a member
	// without a majority's consent, and says what may be lost.
	Leave(ctx context.Context, node string, force bool) (Left, error)
	// SetReads changes how the mesh answers reads, and returns an epoch at which it answers them
	// so. When it returns, no read is answered in the former way any more. It changes nothing where
	// the mesh answers reads in that way already.
	SetReads(ctx context.Context, reads Reads) (version.Epoch, error)
	// Status describes the mesh as this node sees it. It never blocks on a peer.
	Status() Status
	// Events returns the log of what this node has seen to change.
	Events() *health.Log
}

// Left is what a leave did.
type Left struct {
	Node   string
	Epoch  version.Epoch
	Forced bool
	Loss   *health.Loss // nil: nothing can be lost
}

// Status is what a node knows of its mesh and of itself.
type Status struct {
	Mode       string // "mesh", "lone", or the database's name
	Cluster    string // empty: none
	Self       string
	State      string // of this node: see Member.State, or "founding", "joining", "left"
	Reason     error  // why the node does not serve, or what it waits for meanwhile; nil: nothing
	Epoch      version.Epoch
	Generation version.Generation
	Purge      uint64 // purges of tombstones so far
	Leader     string // of the topology's consensus group, as last known

	// N, R and W are the present quorums. Read and Write are what R and W are derived from when N
	// changes.
	N, R, W   int
	Read      Quorum
	Write     Quorum
	AllowWeak bool // R + W ≤ N is allowed

	Reads Reads         // how reads are answered; empty: there is no mesh
	Lease time.Duration // how long a lease lasts; zero: there is no mesh

	Unsettled  *SizeChange // nil: none
	Keys       int64
	Tombstones int64
	Bytes      int64
	MaxBytes   int64  // 0: no limit
	Digest     string // of everything held; equal on nodes that hold the same

	Members []Member // the slots, then the member that is joining
	Health  health.Verdict

	// Larger is set while this node copies what others hold. It names a member that holds more than
	// this node may, and LargerBytes is what that member holds. Empty: none.
	Larger      string
	LargerBytes int64
}

// Weak reports whether R + W ≤ N, so that reads may be stale.
func (s *Status) Weak() bool { return s.N > 0 && s.R+s.W <= s.N }

// SizeChange is a join or a leave whose sync is not complete.
type SizeChange struct {
	Member string
	Epoch  version.Epoch // at which the member joined or left
	Waits  []string      // members whose sync is waited for
}

func (c *SizeChange) String() string {
	return fmt.Sprintf("%s joined or left at epoch %d; waiting for the sync of %s", c.Member, c.Epoch, strings.Join(c.Waits, ", "))
}

// Member is one slot of the mesh.
type Member struct {
	Name        string
	State       string // "active", "rebuilding", "joining", "vacant"
	Reach       health.Reach
	Since       time.Time // when Reach was found to be so
	HTTP        string    // address of its API
	Peer        string    // address for other members
	Incarnation version.Incarnation
	Ownership   float64 // share of the partitions owned, 0 to 1
	Hints       int     // how many keys this node holds hints of for the member
	Sync        *Sync   // nil: none is under way
	RTT         time.Duration

	// Bytes, MaxBytes and Full are what the member has said of its memory. All are zero when it has
	// said nothing of late. A member with a limit tells all others.
	Bytes    int64
	MaxBytes int64 // 0: no limit
	Full     bool  // new values are refused, at all nodes

	// Reading is how the member answers reads. It is known of the node itself alone. Nil: it is not
	// known, or the node answers none.
	Reading *Reading

	// Figures are what the member has last told of its requests. Nil: it has told nothing of late,
	// or it is this node itself.
	Figures *Figures
}

// Sync is the progress of making a member equal to the others.
type Sync struct {
	Kind  string  // "rebuild", "join", "barrier", "repair"
	Done  float64 // 0 to 1
	Keys  int64
	Bytes int64
	Left  time.Duration // time left, estimated from the time taken so far

	// Need and Sources concern a rebuild: how many full copies it merges, and how many members have
	// one. The rebuild waits while Sources is below Need.
	Need, Sources int
}

// Size returns a number of bytes in words, as in 2.1 MiB.
func Size(bytes int64) string {
	const units = "KMGT"
	if bytes < 1<<10 {
		return fmt.Sprintf("%d B", bytes)
	}
	size, unit := float64(bytes)/(1<<10), 0
	for size >= 1<<10 && unit < len(units)-1 {
		size, unit = size/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %ciB", size, units[unit])
}

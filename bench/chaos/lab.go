package chaos

import (
	"context"
	"errors"
	"time"

	"viakv/api/client"
)

// Lab is a cluster of processes whose faults the caller chooses, one by one. Its nodes are
// numbered: the members from 0 on, then a spare. The spare has the members as its seeds and joins
// them when it is started.
type Lab struct{ *cluster }

// StartLab founds a cluster of that many nodes. Each client request ends after timeout. Close ends
// the cluster.
func StartLab(ctx context.Context, binary, logDir string, nodes int, timeout time.Duration) (*Lab, error) {
	c, err := newCluster(binary, logDir, nodes, timeout, false)
	if err != nil {
		return nil, err
	}
	if err := c.start(ctx, foundedWithin); err != nil {
		crashes := joinLines(c.crashes())
		c.close()
		return nil, errors.Join(err, crashes)
	}
	return &Lab{c}, nil
}

// Close ends all processes and waits for them (X5).
func (l *Lab) Close() { l.close() }

// Spare is the number of the node that is no member at first.
func (l *Lab) Spare() int { return l.members }

// Name returns the name of a node.
func (l *Lab) Name(i int) string { return nodeName(i) }

// HTTP is the address of a node's API.
func (l *Lab) HTTP(i int) string { return l.http[i] }

// Peer is the address at which other nodes reach a node.
func (l *Lab) Peer(i int) string { return l.peers[i] }

// Client returns a client that asks this node only.
func (l *Lab) Client(i int) *client.Client { return l.clients[i] }

// Kill ends a node's process at once. The keys in its memory are lost.
func (l *Lab) Kill(i int) { l.nodes[i].kill() }

// Start starts a node's process. It fails when the process runs.
func (l *Lab) Start(i int) error { return l.nodes[i].start() }

// Pause stops a process without ending it.
func (l *Lab) Pause(i int) { l.nodes[i].pause() }

// Resume continues a paused process.
func (l *Lab) Resume(i int) { l.nodes[i].resume() }

// Cut holds back what one node sends another, in this direction alone.
func (l *Lab) Cut(from, to int) { l.fabric.set(from, to, weather{held: true}) }

// Isolate holds back everything that a node and all others send each other.
func (l *Lab) Isolate(i int) { l.around(i, weather{held: true}) }

// Refuse cuts a node's connections, and does not let it make new ones.
func (l *Lab) Refuse(i int) { l.around(i, weather{refused: true}) }

// Delay delays everything between a node and all others by d, in each direction.
func (l *Lab) Delay(i int, d time.Duration) { l.around(i, weather{delay: d}) }

// Calm ends all faults of the network.
func (l *Lab) Calm() { l.fabric.calm() }

// Settle waits until all nodes that should run answer at one epoch, all of them active, with no
// change under way. The excused nodes are left out.
func (l *Lab) Settle(ctx context.Context, within time.Duration, excused ...int) error {
	out := map[int]bool{}
	for _, i := range excused {
		out[i] = true
	}
	return l.settle(ctx, out, within)
}

// Digests returns the digests of all members, and whether they are equal.
func (l *Lab) Digests(ctx context.Context) ([]string, bool) { return l.digests(ctx) }

// Crashes returns a line for each process that ended without being killed by the lab.
func (l *Lab) Crashes() []string { return l.crashes() }

// around sets the weather between a node and all others, both ways.
func (c *cluster) around(i int, w weather) {
	for k := range c.nodes {
		if k != i {
			c.fabric.set(i, k, w)
			c.fabric.set(k, i, w)
		}
	}
}

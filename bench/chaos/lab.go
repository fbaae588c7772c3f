package chaos

import (
	"time"

	"viakv/api/client"
)

// Spare is the number of the node that is no member at first.
func (l *Lab) Spare() int { return l.members }

// Name returns the name of a node.
func (l *Lab) Name(i int) string { return nodeName(i) }

// HTTP is the address of a node's API.
func (l *Lab) HTTP(i int) string { return l.http[i] }

// Endpoints returns the base URLs of the members' APIs.
func (l *Lab) Endpoints() (all []string) {
	for _, address := range l.http[:l.members] {
		all = append(all, "http://"+address)
	}
	return all
}

// Peer is the address at which other nodes reach a node.
func (l *Lab) Peer(i int) string { return l.peers[i] }

// Client returns a client that asks this node only.
func (l *Lab) Client(i int) *client.Client { return l.clients[i] }

// Memory returns the mean resident memory of the members' processes, in bytes. It is 0 where the
// system does not tell it.
func (l *Lab) Memory() float64 {
	sum := 0.0
	for _, p := range l.nodes[:l.members] {
		bytes, known := p.memory()
		if !known {
			return 0
		}
		sum += bytes
	}
	return sum / float64(l.members)
}

// PIDs returns the process IDs of the members that run.
func (l *Lab) PIDs() (pids []int) {
	for _, p := range l.nodes[:l.members] {
		if pid := p.pid(); pid != 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Kill ends a node's process at once. The keys in its memory are lost.
func (l *Lab) Kill(i int) { l.nodes[i].kill() }

// Terminate tells a node's process to stop, and waits until it has ended. A process that does not
// end counts as a crash and is killed.
func (l *Lab) Terminate(i int) { l.nodes[i].terminate() }

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

// around sets the weather between a node and all others, both ways.
func (l *Lab) around(i int, w weather) {
	for k := range l.nodes {
		if k != i {
			l.fabric.set(i, k, w)
			l.fabric.set(k, i, w)
		}
	}
}

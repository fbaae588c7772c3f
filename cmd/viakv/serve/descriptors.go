package serve

import (
	"fmt"
	"syscall"

	"go.uber.org/zap"

	"viakv/api"
	"viakv/api/kv"
	"viakv/node/transport"
)

// What a node needs descriptors for beside its clients.
const (
	// ownDescriptors are the standard streams, the poller, the listeners, and files and sockets
	// that are open for a moment: certificates, tokens, names that are looked up.
	ownDescriptors = 12
	// peerDescriptors are for each other member: a connection of each class in each direction.
	peerDescriptors = 2 * transport.Classes
	// fullReserve serves the largest mesh, strangers at the peer port, the admin listener, or the
	// pool of a database, and has room left.
	fullReserve = 320
	// reserveShare is the part of a small limit that is reserved: half, so that a database's pool,
	// which no more requests use than there are clients, always fits.
	reserveShare = 2
	// fewestClients is what a node needs to be of use.
	fewestClients = 2
	// fewestProbes and mostProbes bound the connections to the admin listener.
	fewestProbes, mostProbes = 2, 64
)

// strangers is how many connections to the peer port may not have shown yet that they are members',
// beside so many to the admin listener. A member that starts makes four at once.
func strangers(probes int) int { return probes + 2 }

// others is what both take.
func others(probes int) int { return strangers(probes) + clientDescriptors(probes) }

// The full reserve has room for the largest mesh, and for the most strangers and probes.
const _ = uint(fullReserve - ownDescriptors - peerDescriptors*(kv.MaxMembers-1) - 2*mostProbes - 16)

// openFiles is how many descriptors this process may have. Go has raised the soft limit to the hard
// one before main.
func openFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	const plenty = 1 << 30
	return int(min(limit.Cur, plenty))
}

// fitDescriptors fits the node into its limit of open files; 0: not known. Clients must not be able
// to use descriptors up: then no file could be read, no member reached, and no member could
// connect. So they have what a reserve for all that leaves, and --max-connections is lowered to it.
func fitDescriptors(log *zap.Logger, limit int, c *Config) error {
	if limit == 0 || limit >= fullReserve+clientDescriptors(c.maxConnections) {
		return nil
	}
	least := ownDescriptors + peerDescriptors*(max(3, len(c.seeds))-1)
	reserve := max(least+others(fewestProbes), min(fullReserve, limit/reserveShare))
	connections := c.maxConnections
	for connections > 0 && clientDescriptors(connections) > limit-reserve {
		connections--
	}
	if connections < min(fewestClients, c.maxConnections) {
		return fmt.Errorf("the limit of open files is %d, and %d of them are needed for the node itself and its peers: raise it to %d at least, better to %d (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker)",
			limit, reserve, reserve+clientDescriptors(fewestClients), fullReserve+clientDescriptors(c.maxConnections))
	}
	probes := fewestProbes
	// Half of what is left is for members that join.
	for probes < mostProbes && others(probes+1) <= (reserve-least)/2 {
		probes++
	}
	c.maxAdminConnections, c.maxStrangers = probes, strangers(probes)
	if connections == c.maxConnections {
		return nil
	}
	log.Warn("--max-connections was lowered to what the limit of open files leaves room for; raise that limit (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker)",
		zap.Int("open files", limit), zap.Int("reserved for the node and its peers", reserve), zap.Int("max-connections", c.maxConnections),
		zap.Int("lowered to", connections), zap.Int("open files wanted", fullReserve+clientDescriptors(c.maxConnections)))
	c.maxConnections = connections
	c.connectionsBoundBy = fmt.Sprintf("the limit of %d open files", limit)
	return nil
}

// clientDescriptors is what so many connections take at the most: themselves, those that are turned
// away for being too many, and the one that was just accepted.
func clientDescriptors(connections int) int { return connections + api.MaxTurnedAway(connections) + 1 }

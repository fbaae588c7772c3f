package serve

import (
	"fmt"
	"syscall"

	"go.uber.org/zap"

	"viakv/api"
	"viakv/api/kv"
	"viakv/node/transport"
)

// The descriptors that a node needs beside those of its clients.
const (
	// ownDescriptors are the standard streams, the poller, the listeners, and files and sockets
	// that are open for a moment: certificates, tokens, name look-ups.
	ownDescriptors = 12
	// peerDescriptors are those for each other member: a connection of each class in each
	// direction.
	peerDescriptors = 2 * transport.Classes
	// fullReserve is enough for the largest mesh, strangers at the peer port and the admin
	// listener, or for the pool of a database. It leaves some descriptors over.
	fullReserve = 320
	// reserveShare divides a small limit: half of it is reserved, so that a database's pool always
	// fits. At most as many requests use the pool as there are clients.
	reserveShare = 2
	// fewestClients is the least number of clients with which a node is useful.
	fewestClients = 2
	// fewestProbes and mostProbes bound the number of connections to the admin listener.
	fewestProbes, mostProbes = 2, 64
)

// strangers returns how many connections to the peer port may be open without having proved that
// they are members', if the admin listener has so many probes. A member that starts makes four at
// once.
func strangers(probes int) int { return probes + 2 }

// others returns the descriptors that strangers and probes take together.
func others(probes int) int { return strangers(probes) + clientDescriptors(probes) }

// The full reserve has room for the largest mesh and for the most strangers and probes.
const _ = uint(fullReserve - ownDescriptors - peerDescriptors*(kv.MaxMembers-1) - 2*mostProbes - 16)

// openFiles returns how many descriptors this process may have; 0: not known. Go has raised the
// soft limit to the hard limit before main.
func openFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	const plenty = 1 << 30
	return int(min(limit.Cur, plenty))
}

// fitDescriptors fits the node into its limit of open files; 0: not known. Clients must not be able
// to use up all descriptors: the node could then read no file, reach no member, and accept no
// member. So a reserve for all these is kept, and --max-connections is lowered to the rest.
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

// clientDescriptors returns the most descriptors that so many connections take: the connections
// themselves, those that are refused because they are too many, and the one just accepted.
func clientDescriptors(connections int) int { return connections + api.MaxTurnedAway(connections) + 1 }

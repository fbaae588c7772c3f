package node

import (
	"encoding/json"

	"go.uber.org/zap"

	"viakv/node/topology"
	"viakv/quorum/version"
)

// learn hands a newer topology that a peer replied with to the manager. Every call that was refused for being stale brings one; the
// first is enough.
func (l *life) learn(epoch version.Epoch, document []byte) {
	for {
		known := l.learned.Load()
		if uint64(epoch) <= known {
			return
		}
		if l.learned.CompareAndSwap(known, uint64(epoch)) {
			break
		}
	}
	t := new(topology.Topology)
	if err := json.Unmarshal(document, t); err != nil {
		l.log.Warn("a peer sent a topology that cannot be read; are all nodes of one version?", zap.Error(err))
		return
	}
	l.manager.Handover(t)
}

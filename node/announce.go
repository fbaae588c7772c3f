package node

import (
	"context"
	"sync"
	"time"

	"viakv/node/transport"
)

// announceTime is how long the answer to a join or a leave waits for members that are slow to hear
// of it.
const announceTime = time.Second

// announce brings the newest topology to the other members that serve, and returns when all of them
// have adopted it or announceTime has passed. Safety never depends on it: the change is agreed and
// sealed before. It is for those who ask another member next and expect what they have just been
// told; a load balancer picks any.
func (m *membership) announce(ctx context.Context) {
	s := m.state.Load()
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	var members sync.WaitGroup
	for i := range s.View.Members {
		address := transport.Address(s.View.Members[i].Address)
		if i == s.View.Self || s.View.Members[i].Incarnation == 0 || !m.node.transport.Health(address).Connected {
			continue
		}
		members.Go(func() {
			for m.manager.UpdatePeer(ctx, address) != nil {
				if !pause(ctx, announceEvery) {
					return
				}
			}
		})
	}
	members.Wait()
}

// announceEvery paces the attempts at a member that could not be told.
const announceEvery = 20 * time.Millisecond

package node

import (
	"context"
	"sync"
	"time"

	"viakv/node/transport"
)

// announceTime is how long the answer to a join or a leave waits for members that are slow to adopt
// it.
const announceTime = time.Second

// announce brings the newest topology to the other active members that are connected. It returns
// when all of them have taken it, or after announceTime. Safety never depends on it: the change
// is agreed and sealed before. It serves clients that ask another member next, for example through
// a load balancer, and expect the change to show there.
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

// announceEvery is the pause between two attempts to update a member.
const announceEvery = 20 * time.Millisecond

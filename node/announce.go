package node

import (
	"context"
	"sync"
	"time"
)

// announceTime is how long the answer to a join or a leave waits for members that are slow to hear of it.
const announceTime = time.Second

// announce brings the newest topology to the other members that serve, and returns when all of them have adopted it or announceTime has
// passed. Safety never depends on it: the change is agreed and sealed before. It is for those who ask another member next and expect
// what they have just been told; a load balancer picks any.
func (l *life) announce(ctx context.Context) {
	s := l.state.Load()
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	var members sync.WaitGroup
	for i := range s.view.Members {
		address := s.links[i].address
		if i == s.view.Self || s.view.Members[i].Incarnation == 0 || !l.node.transport.Health(address).Connected {
			continue
		}
		members.Go(func() {
			for l.manager.HandTo(ctx, address) != nil {
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

package chaos

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"viakv/api/document"
	"viakv/api/sleep"
)

func (n *nemesis) processFault(ctx context.Context, random *rand.Rand, kind string) {
	switch kind {
	case "kill", "term":
		n.killOne(ctx, random, kind)
	case "leave":
		n.change(func() { n.leaveAndReturn(ctx, random) })
	case "join":
		n.change(func() { n.growAndShrink(ctx, random) })
	}
}

// killOne kills a node or tells it to stop, kills it perhaps again while it rebuilds, and waits
// until the node is rebuilt.
func (n *nemesis) killOne(ctx context.Context, random *rand.Rand, kind string) {
	at := n.next()
	again := random.IntN(3) == 0
	away := between(random, 50*time.Millisecond, 3*time.Second)
	if !n.takeDown(ctx, at) {
		return
	}
	end, how := n.Kill, "kill -9 "
	if kind == "term" {
		end, how = n.Terminate, "SIGTERM to "
	}
	f := n.begin(kind, at, "%s%s, restarted after %v%s", how, nodeName(at), away.Round(time.Millisecond), map[bool]string{true: ", and again while it rebuilds"}[again])
	defer n.end(f)
	end(at)
	sleep.For(ctx, away)
	n.restart(at)
	if again {
		sleep.For(ctx, between(random, 10*time.Millisecond, 500*time.Millisecond))
		n.Kill(at)
		n.restart(at)
	}
	// If the cluster did not come together, the slot still counts as down, and no other node is
	// killed in its place.
	if n.together(n.othersDown(at)...) {
		n.mu.Lock()
		delete(n.down, at)
		n.mu.Unlock()
	}
}

// takeDown claims a node for killing. It returns false when the cluster could not survive that
// (X1).
func (n *nemesis) takeDown(ctx context.Context, at int) bool {
	n.deciding.Lock()
	defer n.deciding.Unlock()
	n.mu.Lock()
	refused := n.changing || n.down[at] || len(n.down) >= n.survives
	n.mu.Unlock()
	if refused || n.settled(ctx, n.othersDown(at)...) != nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down[at] = true
	return true
}

func (n *nemesis) restart(at int) {
	if err := n.Start(at); err != nil {
		n.log("%s cannot be restarted: %v", nodeName(at), err)
	}
}

// change runs do, which changes the members, if no node is down (X2).
func (n *nemesis) change(do func()) {
	n.deciding.Lock()
	n.mu.Lock()
	busy := n.changing || len(n.down) > 0
	n.mu.Unlock()
	if busy || n.settled(context.Background()) != nil {
		n.deciding.Unlock()
		return
	}
	n.mu.Lock()
	n.changing = true
	n.mu.Unlock()
	n.deciding.Unlock()
	do()
	n.mu.Lock()
	n.changing = false
	n.mu.Unlock()
}

// leaveAndReturn makes a member leave and join again, in the same process or in a new one.
func (n *nemesis) leaveAndReturn(ctx context.Context, random *rand.Rand) {
	if n.members < 2 {
		return
	}
	at := random.IntN(n.members)
	fresh := random.IntN(2) == 0
	away := between(random, 100*time.Millisecond, 3*time.Second)
	how := "joins again"
	if fresh {
		how = "comes back as a new process"
	}
	f := n.begin("leave", at, "%s leaves, and %s after %v", nodeName(at), how, away.Round(time.Millisecond))
	defer n.end(f)
	control := context.Background() // bounded by the client's own time-out
	if _, err := n.control[at].Leave(control, "", false); err != nil {
		n.log("%s could not leave: %v", nodeName(at), err)
	}
	sleep.For(ctx, away)
	if fresh {
		n.Kill(at)
		n.restart(at)
	} else {
		n.rejoin(at)
	}
	n.together()
}

// rejoin asks until the node is a member. The network is still being broken, so the answer to a
// join that worked may be lost.
func (n *nemesis) rejoin(at int) {
	insist(func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), rebuiltWithin)
		defer cancel()
		_, err := n.control[at].Join(ctx, n.Peer((at+1)%n.members))
		return err == nil || n.settled(context.Background()) == nil
	})
}

// insist tries again until that succeeds, for as long as a rebuild may take.
func insist(try func() bool) {
	for deadline := time.Now().Add(rebuiltWithin); time.Now().Before(deadline) && !try(); {
		time.Sleep(200 * time.Millisecond)
	}
}

// growAndShrink lets the spare join, serve for a while, and leave.
func (n *nemesis) growAndShrink(ctx context.Context, random *rand.Rand) {
	spare := n.Spare()
	stay := between(random, 500*time.Millisecond, 4*time.Second)
	f := n.begin("join", spare, "%s joins, and leaves after %v", nodeName(spare), stay.Round(time.Millisecond))
	defer n.end(f)
	n.restart(spare)
	n.together()
	sleep.For(ctx, stay)
	insist(func() bool {
		_, err := n.control[0].Leave(context.Background(), nodeName(spare), false)
		return err == nil || n.isNoMember(spare)
	})
	n.Kill(spare)
	n.together()
}

func (n *nemesis) isNoMember(at int) bool {
	s, err := n.control[0].Cluster(context.Background())
	return err == nil && s.State == "active" && !slices.ContainsFunc(s.Members, func(m document.Member) bool { return m.Name == nodeName(at) })
}

package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"viakv/api/kv"
)

// Random faults show the loss of these rules too seldom. So each test makes the one schedule in
// which the loss does harm. The mutation gate (node/simulation) also runs each test with its rule
// switched off, and the test must then fail.

// inTouch makes two nodes hear from each other all the time, until stop is called.
func (m *mesh) inTouch(a, b int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	for _, i := range []int{a, b} {
		asking.Go(func() {
			for ctx.Err() == nil {
				short, done := context.WithTimeout(ctx, 200*time.Millisecond)
				_, _, _ = m.nodes[i].Get(short, nil, []byte("in touch"), kv.Options{R: kv.QuorumAll})
				<-short.Done()
				done()
			}
		})
	}
	return func() {
		cancel()
		asking.Wait()
	}
}

// D1: what a sends to b arrives at c, as after a change of addresses that a has not seen. If c
// answered for b, c would be counted twice, and two of five members would make a majority. The
// other three would never have heard of the write that the two acknowledged.
func TestAMisdirectedRequestIsNoAcknowledgement(t *testing.T) {
	inMesh(t, 5, func(m *mesh) {
		ctx := context.Background()
		time.Sleep(3 * time.Second) // until nobody holds a lease: a write waits for those who do
		m.net.Mislead(m.address(0), m.address(1), m.address(2))
		m.cut(0, 3)
		m.cut(0, 4)
		_, err := m.nodes[0].Set(ctx, []byte("k"), []byte("v"), kv.Options{})
		if err != nil {
			if !errors.Is(err, kv.ErrUnavailable) {
				t.Error(err)
			}
			return
		}
		for _, i := range []int{1, 3, 4} {
			m.cut(0, i)
			m.cut(2, i)
		}
		m.wants(1, "k", "v") // acknowledged, so the majority of b, d and e must hold it
	})
}

// M3: a rebuild that merged fewer than N-W+1 copies would miss writes that two of three members
// have acknowledged. The restarted node would count as a replica that holds them, and the next
// restart could lose the last replica that does.
func TestARebuildMissesNoAcknowledgedWrite(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		// Members that were out of touch for a second compare, and then no member misses anything.
		// These two ask each other all the time, so that only the rebuild brings a record to one
		// that missed it.
		stop := m.inTouch(1, 2)
		defer stop()
		time.Sleep(2 * time.Second) // until the comparisons after the founding are over
		const keys = 300            // enough that every member owns some of their partitions
		for i := range keys {
			m.stored(key(i), "v", 0, 1)
		}
		m.kill(0)
		m.start(0, m.seeds(3))
		// Once the node is ready, both others compare with it. That takes five hops of a
		// millisecond and more, so this loop polls more often than until does.
		for end := time.Now().Add(30 * time.Second); !m.ready(0)(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the restarted node is not ready within 30 s")
			}
		}
		if n := m.state(0).Store.Stats().Keys; n != keys {
			t.Errorf("the restarted node serves with %d of %d keys", n, keys)
		}
		m.kill(1) // the only other node that held them; three members must bear one crash at a time
		lost := 0
		for i := range keys {
			if v, _, err := m.nodes[2].Get(context.Background(), nil, []byte(key(i)), kv.Options{}); err != nil || string(v) != "v" {
				lost++
			}
		}
		if lost != 0 {
			t.Errorf("%d of %d acknowledged writes are lost", lost, keys)
		}
	})
}

// M6: after a size change the quorums of the two sizes overlap only once the members have synced.
// Three of five members hold a write, and two of these three leave.
func TestTwoLeavesLoseNothing(t *testing.T) {
	inMesh(t, 5, func(m *mesh) {
		for i := range 50 {
			m.stored(key(i), "v", 0, 1, 2)
		}
		for _, i := range []int{0, 1} {
			m.leaves(3, i)
		}
		if n := m.nodes[3].Status().N; n != 3 {
			t.Fatal(fmt.Sprint(n, " members"))
		}
		for i := range 50 {
			m.wants(3, key(i), "v")
			m.wants(4, key(i), "v")
		}
	})
}

// Remove: a replica votes for one request only. Two members remove one version at once, and neither
// hears from the other. The vote of the third member decides between them. If it voted for both,
// both clients would be told that they removed a value that was set once.
func TestAReplicaVotesForOneRemoveOnly(t *testing.T) {
	for range 10 {
		if votesOnce(t) {
			return
		}
	}
	t.Error("the two removes have never found the key at once")
}

// votesOnce has two members remove a key at once. It returns false when one of them has looked for
// the key only after the other had removed it.
func votesOnce(t *testing.T) (both bool) {
	both = true
	inMesh(t, 3, func(m *mesh) {
		m.set(1, "k", "v")
		m.until(time.Second, "all hold the key", m.equal(0, 1, 2))
		m.cut(0, 2)
		m.net.Pause(m.address(1)) // so that both find the version before the first vote arrives
		var removing sync.WaitGroup
		var errs [3]error
		for _, i := range []int{0, 2} {
			removing.Go(func() { errs[i] = m.nodes[i].coordinator.RemoveHere(context.Background(), []byte("k"), kv.Options{}) })
		}
		time.Sleep(100 * time.Millisecond)
		m.net.Resume(m.address(1))
		removing.Wait()
		removed := 0
		for _, i := range []int{0, 2} {
			switch err := errs[i]; {
			case err == nil:
				removed++
			case errors.Is(err, kv.ErrMissing):
				both = false
			case !endedWith(err, kv.Unknown):
				t.Errorf("node %d: %v, want that it removed the key, or that it does not know", i, err)
			}
		}
		if removed != 1 {
			t.Errorf("one set was removed %d times", removed)
		}
	})
	return both
}

package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum/version"
)

// Rules whose loss random faults show too seldom: each test makes the one schedule in which it does
// harm. The mutation gate (node/simulation) runs them with the rule switched off, too, and then
// they must fail.

// stored puts a record into the stores of some nodes, as a write does that the others have missed
// and left no hint for.
func (m *mesh) stored(key, value string, nodes ...int) {
	m.t.Helper()
	for _, i := range nodes {
		s := m.nodes[i].present.Load().state.Load()
		r := version.Record{Tag: version.Tag{Counter: 1 << 20, Incarnation: s.Self}, Value: []byte(value)}
		if i != nodes[0] {
			r.Tag.Incarnation = m.nodes[nodes[0]].present.Load().state.Load().Self
		}
		if _, err := s.Store.Put(s.View.Epoch, s.View.Seed.Hash([]byte(key)), []byte(key), &r); err != nil {
			m.t.Fatal(err)
		}
	}
}

// inTouch lets two nodes hear of each other all the time, until stop is called.
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

// D10: the network delivers an offer twice, and its peer adopts another epoch in between. What it
// knows of the first copy lives on with its membership; were the second one called stale, the
// sender would take it that nothing has been stored.
func TestACopyOfAnOfferAcrossAClearIsUnknown(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		from, to := m.nodes[0].present.Load().state.Load(), m.nodes[1].present.Load().state.Load()
		offer := func(counter uint64) []byte {
			stamp := wire.Stamp{Cluster: from.View.Cluster, Epoch: from.View.Epoch, To: to.Self, From: from.Self}
			record := version.Record{Tag: version.Tag{Generation: from.View.Generation, Counter: counter, Incarnation: from.Self}, Value: []byte("v")}
			return wire.AppendStoreIf(wire.AppendRequest(nil, wire.StoreIf, stamp), version.Tag{}, []byte("k"), &record)
		}
		wants := func(want wire.Status, request []byte) {
			t.Helper()
			b, ok := m.nodes[1].server.ServeInline(nil, request)
			if r, err := wire.ParseReply(b); !ok || err != nil || r.Status != want {
				t.Errorf("%v %v, want %v", r.Status, err, want)
			}
		}
		wants(wire.Same, offer(1<<40))
		if err := m.nodes[0].Clear(context.Background(), kv.Options{}); err != nil {
			t.Fatal(err)
		}
		wants(wire.Unknown, offer(1<<40))
		wants(wire.Stale, offer(1<<40+1)) // of this one nothing was stored, and will not be
	})
}

// D1: the way to b leads to c, as after a change of addresses that a has not seen. Were c to answer
// for b, it would be counted twice, and of five members two would make a majority: what they
// acknowledge the other three have never heard of.
func TestAMisdirectedRequestIsNoAcknowledgement(t *testing.T) {
	inMesh(t, 5, func(m *mesh) {
		ctx := context.Background()
		synctest.Wait()
		m.net.Mislead(m.address(0), m.address(1), m.address(2))
		cut := func(i, j int) {
			m.net.Cut(m.address(i), m.address(j))
			m.net.Cut(m.address(j), m.address(i))
		}
		cut(0, 3)
		cut(0, 4)
		_, err := m.nodes[0].Set(ctx, []byte("k"), []byte("v"), kv.Options{})
		if err != nil {
			if !errors.Is(err, kv.ErrUnavailable) {
				t.Error(err)
			}
			return
		}
		for _, i := range []int{1, 3, 4} {
			cut(0, i)
			cut(2, i)
		}
		m.wants(1, "k", "v") // acknowledged, so that b, d and e, a majority, must not have missed it
	})
}

// M3: a rebuild that merged fewer than N-W+1 copies would miss writes that two of three have
// acknowledged: the restarted node would count for a replica that holds them, and the next restart
// could lose the last one that does.
func TestARebuildMissesNoAcknowledgedWrite(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		// Members that were out of touch for a second compare, and then none misses anything. These
		// two ask each other all the time: only the rebuild brings a record to one that missed it.
		stop := m.inTouch(1, 2)
		defer stop()
		time.Sleep(2 * time.Second) // what they compare after the founding
		const keys = 300            // of partitions that all members own
		for i := range keys {
			m.stored(key(i), "v", 0, 1)
		}
		m.kill(0)
		m.start(0, m.seeds(3))
		// Once it is ready, both compare with it, which takes five hops of a millisecond and more.
		for end := time.Now().Add(30 * time.Second); !m.ready(0)(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it is not ready again within 30 s")
			}
		}
		if n := m.nodes[0].present.Load().state.Load().Store.Stats().Keys; n != keys {
			t.Errorf("it serves with %d of %d keys", n, keys)
		}
		m.kill(1) // the only other one that held them: one crash at a time is what three must bear
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
// Of five, three hold a write; two of those leave.
func TestTwoLeavesLoseNothing(t *testing.T) {
	inMesh(t, 5, func(m *mesh) {
		ctx := context.Background()
		for i := range 50 {
			m.stored(key(i), "v", 0, 1, 2)
		}
		for _, i := range []int{0, 1} {
			if _, err := m.nodes[3].Leave(ctx, m.name(i), false); err != nil {
				t.Fatal(err)
			}
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
// hears of the other; the third one's vote decides between them. Were it to vote for both, both
// clients would be told that they removed what was set once.
func TestAReplicaVotesForOneRemoveOnly(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.set(1, "k", "v")
		m.until(time.Second, "all hold the key", m.equal(0, 1, 2))
		m.net.Cut(m.address(0), m.address(2))
		m.net.Cut(m.address(2), m.address(0))
		m.net.Pause(m.address(1)) // both have asked, and found the version, before the first vote comes
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
			var u *kv.Unavailable
			switch err := errs[i]; {
			case err == nil:
				removed++
			case !errors.As(err, &u) || u.Outcome != kv.Unknown:
				t.Errorf("node %d: %v, want that it removed the key, or that it does not know", i, err)
			}
		}
		if removed != 1 {
			t.Errorf("one set was removed %d times", removed)
		}
	})
}

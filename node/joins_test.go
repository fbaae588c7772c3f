package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/topology"
)

// Standalone nodes join one another at the same time, in pairs, chains, rings and at random. Each
// ends in one cluster with the node that it joined, or is told that it may not join now, and stays
// what it was. No node stays joining, and every node serves.
func TestJoinsAtOnce(t *testing.T) {
	shapes := map[string][]int{ // the node that each node joins; -1: none
		"pair":             {1, 0},
		"pair and a third": {1, 0, 0},
		"chain":            {1, 2, 3, -1},
		"chain to a pair":  {1, 2, 3, 2},
		"ring of three":    {1, 2, 0},
		"ring of five":     {1, 2, 3, 4, 0},
		"star":             {-1, 0, 0, 0},
		"star that moves":  {1, -1, 0, 0},
	}
	random := rand.New(rand.NewPCG(5, 6))
	for i := range 12 {
		shape := make([]int, 2+random.IntN(5))
		for j := range shape {
			if shape[j] = random.IntN(len(shape)); shape[j] == j {
				shape[j] = -1
			}
		}
		shape[0] = 1
		shapes[fmt.Sprint("random ", i)] = shape
	}
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	for name, shape := range shapes {
		for round := range rounds {
			t.Run(fmt.Sprint(name, shape, round), func(t *testing.T) {
				spread := []time.Duration{time.Microsecond, 3 * time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond}[round]
				joinsAtOnce(t, shape, spread, round%2 == 1)
			})
		}
	}
}

// joinsAtOnce makes each node join the one that shape names, at a random moment within spread. If
// keys is set, each node has a key of its own before.
func joinsAtOnce(t *testing.T, shape []int, spread time.Duration, keys bool) {
	inMesh(t, 0, func(m *mesh) {
		random := rand.New(rand.NewPCG(uint64(len(shape)), uint64(spread)))
		for i := range shape {
			m.start(i, nil)
		}
		for i := range shape {
			m.until(10*time.Second, "each is alone", m.ready(i))
			if keys {
				m.set(i, key(i), m.name(i))
			}
		}
		// All joins begin within spread, and each must be answered soon.
		outcomes := make([]error, len(shape))
		var joins sync.WaitGroup
		for i, peer := range shape {
			if peer < 0 {
				continue
			}
			delay := time.Duration(random.Int64N(int64(spread)))
			joins.Go(func() {
				time.Sleep(delay)
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				outcomes[i] = m.join(ctx, i, peer)
			})
		}
		began := time.Now()
		joins.Wait()
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("the joins took %v", took)
		}
		// A join succeeds, or the node may not join now. At least one join succeeds.
		joined := 0
		for i, err := range outcomes {
			switch {
			case err == nil && shape[i] >= 0:
				joined++
				m.until(5*time.Second, fmt.Sprintf("%s is in the cluster of %s", m.name(i), m.name(shape[i])), func() bool {
					return m.nodes[i].Status().Cluster == m.nodes[shape[i]].Status().Cluster
				})
			case err != nil && !errors.Is(err, kv.ErrAlreadyMember):
				t.Errorf("%s joins %s: %v", m.name(i), m.name(shape[i]), err)
			}
		}
		if joined == 0 {
			t.Errorf("no join succeeded: %v", outcomes)
		}
		m.wantsConsistentClusters()
		for i := range shape {
			m.set(i, "shared", m.name(i))
			m.wants(i, "shared", m.name(i))
			if keys {
				m.wants(i, key(i), m.name(i))
			}
		}
	})
}

// wantsConsistentClusters waits until each node is an active member of the cluster that it shows,
// and shows all members of that cluster as active, at one epoch.
func (m *mesh) wantsConsistentClusters() {
	m.t.Helper()
	m.until(10*time.Second, "all clusters are consistent", func() bool {
		for i := range m.nodes {
			s := m.nodes[i].Status()
			if s.State != "active" || s.Unsettled != nil || m.nodes[i].Ready(context.Background()) != nil {
				return false
			}
			for j := range m.nodes {
				other, listed := m.nodes[j].Status(), false
				for _, member := range s.Members {
					listed = listed || member.Name == m.name(j) && member.State == "active"
				}
				if listed != (other.Cluster == s.Cluster) || listed && other.Epoch != s.Epoch {
					return false
				}
			}
		}
		return true
	})
}

// A standalone node that another node is joining may not depart to join a third.
func TestANodeThatIsJoinedDoesNotDepart(t *testing.T) {
	inMesh(t, 0, func(m *mesh) {
		for i := range 3 {
			m.alone(i)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		joined := m.joining(ctx, 1, 0)
		m.until(20*time.Second, "b is admitted", m.shows(0, 2))
		if err := m.join(context.Background(), 0, 2); !errors.Is(err, kv.ErrAlreadyMember) || errors.Is(err, kv.ErrInMesh) {
			t.Errorf("a node that is being joined joins another one, or the join is over: %v", err)
		}
		if err := <-joined; err != nil {
			t.Error(err)
		}
		m.wantsConsistentClusters()
	})
}

// candidate starts a node beside a mesh of three. The node reaches only the mesh's leader. Once it
// joins, it lacks copies, and stays a candidate.
func (m *mesh) candidate() (leader, follower, next int) {
	m.t.Helper()
	next = len(m.nodes)
	leader, follower, other := m.leaderAndFollowers()
	m.alone(next)
	for _, i := range []int{follower, other} {
		m.cut(i, next)
	}
	return leader, follower, next
}

// A join that is not done by the end of its request's time is given up. The mesh forgets the
// joiner. The joiner is what it was before, and may try again.
func TestAJoinHasItsTimeAndNoMore(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		leader, _, next := m.candidate()
		m.set(next, "mine", "1")
		before := m.nodes[leader].Status().N
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		began := time.Now()
		err := m.join(ctx, next, leader)
		if !endedWith(err, kv.None) {
			t.Errorf("%v, want outcome none", err)
		}
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("the join took %v", took)
		}
		if s := m.nodes[leader].Status(); s.N != before || len(s.Members) != before {
			t.Errorf("the mesh shows %d members of %d", len(s.Members), s.N)
		}
		m.wants(next, "mine", "1")
		if s := m.nodes[next].Status(); s.State != "active" || s.N != 1 {
			t.Errorf("the joiner is %s, one of %d", s.State, s.N)
		}
		m.net.HealAll()
		m.until(10*time.Second, "the joiner's cluster admits others again", func() bool {
			return !m.state(next).topology.Departing
		})
		if err := m.join(context.Background(), next, leader); err != nil {
			t.Errorf("the next try: %v", err)
		}
	})
}

// The server is shut down while a join is under way: the request ends at once, and the node stops.
func TestAJoinDoesNotHoldTheServerUp(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		leader, one, next := m.candidate()
		ctx, shutDown := context.WithCancel(context.Background())
		joined := m.joining(ctx, next, leader)
		m.until(30*time.Second, "the joiner is a candidate", m.shows(leader, 4))
		if err := m.join(context.Background(), next, one); !errors.Is(err, kv.ErrAlreadyMember) || !errors.Is(err, kv.ErrJoinUnderWay) {
			t.Errorf("a second join: %v", err)
		}
		shutDown()
		began := time.Now()
		if err := <-joined; !endedWith(err, kv.Unknown) || !errors.Is(err, kv.ErrJoinUnderWay) {
			t.Errorf("%v, want outcome unknown, of a join that goes on", err)
		}
		m.kill(next)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the node stopped after %v", took)
		}
		m.until(30*time.Second, "the mesh gives the joiner up", m.shows(leader, 3))
	})
}

// A join's time is over while no member of the mesh can be told. Whether the mesh counts on the
// joiner is then not known, and the answer says so.
func TestAJoinThatCannotBeTakenBackSaysSo(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		leader, _, next := m.candidate()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		joined := m.joining(ctx, next, leader)
		m.until(5*time.Second, "the joiner is a candidate", m.shows(leader, 4))
		m.isolate(next, true)
		if err := <-joined; !endedWith(err, kv.Unknown) || !errors.Is(err, kv.ErrMayBeMember) {
			t.Errorf("%v, want outcome unknown, of a node that may be a member", err)
		}
	})
}

// A member of one mesh may not join another. A node that has left says that it is no longer a
// member.
func TestMembershipIsNamed(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.alone(3)
		if err := m.join(context.Background(), 0, 3); !errors.Is(err, kv.ErrInMesh) {
			t.Errorf("a member joins another mesh: %v", err)
		}
		if _, err := m.nodes[2].Leave(context.Background(), "", false); err != nil {
			t.Fatal(err)
		}
		m.until(10*time.Second, "the node is out of the mesh", func() bool { return errors.Is(m.nodes[2].Ready(context.Background()), kv.ErrNotMember) })
		if reason := m.nodes[2].Status().Reason; !errors.Is(reason, kv.ErrNotMember) {
			t.Errorf("its reason: %v", reason)
		}
	})
}

// A joiner tells what keeps it out of the mesh: in its status while it waits, and in the answer of
// the join.
func TestAJoinSaysWhatKeepsItOut(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		const next = 3
		m.start(next, nil, func(c *Config) { c.Peer = "nobody:1" })
		m.until(10*time.Second, "the next node is alone", m.ready(next))
		// The request has less time than the mesh's patience.
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		joined := m.joining(ctx, next, 0)
		m.until(2*time.Second, "the joiner says why it waits", func() bool { return errors.Is(m.nodes[next].Status().Reason, kv.ErrNodeUnreachable) })
		if err := <-joined; !endedWith(err, kv.None) || !errors.Is(err, kv.ErrNodeUnreachable) {
			t.Errorf("%v, want outcome none, of a node that cannot be reached", err)
		}
	})
}

// A join that ends with its membership answers that nothing has happened. Errors that a client
// tells apart stay what they are.
func TestAJoinThatEndsWithItsMembershipHasDoneNothing(t *testing.T) {
	for _, end := range []error{topology.ErrReplaced, topology.ErrForgotten, topology.ErrOver} {
		if err := notTaken(fmt.Errorf("membership: %w", end)); !endedWith(err, kv.None) || !errors.Is(err, end) {
			t.Errorf("%v: got %v", end, err)
		}
	}
	for _, known := range []error{kv.ErrFull, kv.ErrPeerUnreachable, kv.ErrAlreadyMember} {
		if err := notTaken(known); err != known { //nolint:errorlint // the very same
			t.Errorf("%v became %v", known, err)
		}
	}
}

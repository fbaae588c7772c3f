package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/quorum/version"
)

// limited is a few nodes over real TCP, each with a memory limit of its own and a log.
type limited struct {
	tcpMesh
	logs []*observer.ObservedLogs
}

// newLimited founds a cluster of nodes with the given limits, in bytes; 0: no limit.
func newLimited(t *testing.T, limits ...int64) *limited {
	t.Helper()
	r := &limited{tcpMesh: tcpMesh{t: t}}
	r.found(len(limits), func(i int, c *Config) { r.limit(i, limits[i], c) })
	return r
}

// limit gives node i a memory limit in bytes and a log; 0: no limit.
func (r *limited) limit(i int, limit int64, c *Config) {
	core, logs := observer.New(zap.InfoLevel)
	for len(r.logs) <= i {
		r.logs = append(r.logs, nil)
	}
	r.logs[i], c.Logger, c.MaxBytes = logs, zap.New(core), limit
}

// start starts node i with a memory limit in bytes; 0: no limit.
func (r *limited) start(i int, limit int64, seeds []transport.Address) {
	r.t.Helper()
	r.tcpMesh.start(i, seeds, func(c *Config) { r.limit(i, limit, c) })
}

func (r *limited) wait(i int) {
	r.t.Helper()
	r.await(i, time.Minute)
}

// fill stores n values of a kibibyte at a node.
func (r *limited) fill(at int, prefix string, n int) {
	r.t.Helper()
	value := []byte(strings.Repeat("😀", kv.MaxValueCharacters))
	for i := range n {
		if _, err := r.nodes[at].Set(context.Background(), fmt.Appendf(nil, "%s-%d", prefix, i), value, kv.Options{}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// exceed stores half a mebibyte in the store of one node only. No limit stops that, as with a
// repair.
func (r *limited) exceed(at int, value []byte) {
	r.t.Helper()
	s := r.state(at)
	for i := range (512 << 10) / len(value) {
		tag := version.Tag{Generation: s.View.Generation, Counter: 1, Incarnation: s.Self}
		s.put(r.t, fmt.Sprint("repaired-", i), version.Record{Tag: tag, Value: value})
	}
}

// refused sets a new key at a node and returns the text of the refusal. It is empty if the key was
// stored.
func (r *limited) refused(at int) string {
	r.t.Helper()
	_, err := r.nodes[at].Set(context.Background(), fmt.Appendf(nil, "new at %d", at), []byte("v"), kv.Options{})
	switch {
	case err == nil:
		return ""
	case !errors.Is(err, kv.ErrMemoryLimit):
		r.t.Fatalf("set at %d: %v", at, err)
	}
	return err.Error()
}

// logged reports whether a node's log has a message that begins with begin.
func (r *limited) logged(i int, begin string) bool {
	for _, e := range r.logs[i].All() {
		if strings.HasPrefix(e.Message, begin) {
			return true
		}
	}
	return false
}

// A node comes back with a limit below what the cluster holds. It gets its whole copy and logs
// that. From its first moment as a member, all nodes refuse new values, and name it.
func TestALimitBelowWhatARebuildNeeds(t *testing.T) {
	for _, n := range []int{3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			ctx := context.Background()
			r := newLimited(t, make([]int64, n)...)
			const keys, limit = 4000, 2 << 20
			r.fill(0, "key", keys)
			low := n - 1
			r.stop(low)
			r.start(low, limit, r.addresses)
			r.wait(low)
			// All nodes refuse new and changed values, still answer reads, and show and log the
			// full member.
			name := fmt.Sprint("n", n)
			for i := range r.nodes {
				if said := r.refused(i); !strings.Contains(said, name+" holds") {
					t.Errorf("set at node %d: %q, want a refusal that names %s", i, said, name)
				}
			}
			for i := range r.nodes {
				if _, err := r.nodes[i].Set(ctx, []byte("key-1"), []byte("shorter"), kv.Options{}); !errors.Is(err, kv.ErrMemoryLimit) {
					t.Errorf("a shorter value at node %d: %v", i, err)
				}
				if _, _, err := r.nodes[i].Get(ctx, nil, fmt.Appendf(nil, "key-%d", i), kv.Options{}); err != nil {
					t.Errorf("get at node %d: %v", i, err)
				}
				r.until("what the low node says is known", func() bool { return r.nodes[i].Status().Members[low].Bytes > keys<<10 })
				s := r.nodes[i].Status()
				if m := s.Members[low]; !m.Full || m.MaxBytes != limit || s.Members[0].Full {
					t.Errorf("status at node %d: %+v", i, s.Members)
				}
				if i != low && !r.logged(i, "a member has reached its memory limit") {
					t.Errorf("node %d has not logged it", i)
				}
			}
			r.until("the low node has logged it", func() bool {
				return r.logged(low, "this node has reached its memory limit") && r.logged(low, "the memory limit is below what another member holds")
			})
			// The full node holds every key. After a clear there is room again.
			if s := r.nodes[low].Status(); s.Keys != keys {
				t.Errorf("the low node has %d keys, want %d", s.Keys, keys)
			}

			if err := r.nodes[1].Clear(ctx, kv.Options{}); err != nil {
				t.Fatal(err)
			}
			for i := range r.nodes {
				r.until("there is room again", func() bool { return r.refused(i) == "" })
			}
			r.until("no member is full any more", func() bool { return !r.nodes[0].Status().Members[low].Full })
		})
	}
}

// The limit of one member is the limit of all, even if no write asks that member. With three nodes
// a write asks one peer, and the full member may be the third node.
func TestTheLowestLimitIsThatOfAll(t *testing.T) {
	for low := range 3 {
		limits := []int64{0, 64 << 20, 0}
		limits[low] = 4 << 20
		r := newLimited(t, limits...)
		name := fmt.Sprint("n", low+1)
		value := []byte(strings.Repeat("😀", kv.MaxValueCharacters))
		at, stored := (low+1)%3, 0
		for ; stored < 1<<16; stored++ {
			_, err := r.nodes[at].Set(context.Background(), fmt.Appendf(nil, "key-%d", stored), value, kv.Options{})
			if err == nil {
				continue
			}
			if !errors.Is(err, kv.ErrMemoryLimit) || !strings.Contains(err.Error(), name) {
				t.Fatal(err)
			}
			break
		}
		if stored == 1<<16 {
			t.Fatalf("the limit of %s stopped no write", name)
		}
		r.exceed(low, value) // at the limit itself the node may be full and not full in turn
		// A query may meet the full node before that has told all others. So a refusal alone does
		// not show that a node knows.
		for i := range r.nodes {
			r.until("all know", func() bool { return r.nodes[i].Status().Members[low].Full })
		}
		for i := range r.nodes {
			if said := r.refused(i); !strings.Contains(said, name) {
				t.Errorf("%s is full, and node %d says %q", name, i, said)
			}
		}
		for i := range r.nodes {
			r.stop(i)
		}
	}
}

// A mesh does not take in a node that may hold less than the mesh holds. A join there fails, and
// its error has both figures. A node with seeds waits.
func TestAJoinAboveTheLimitIsRefused(t *testing.T) {
	ctx := context.Background()
	r := newLimited(t, 0, 8<<20)
	r.fill(0, "key", 3000)
	before := r.nodes[0].Status()

	// A standalone node whose limit is too low: its join is refused, and it goes on as it was.
	r.reserve()
	r.start(2, 2<<20, nil)
	r.wait(2)
	if said := r.refused(2); said != "" {
		t.Fatal(said)
	}
	err := r.nodes[2].Join(ctx, string(r.addresses[0]))
	if !errors.Is(err, kv.ErrMemoryLimit) || !strings.Contains(err.Error(), "n3 may hold 2.0 MiB") || !strings.Contains(err.Error(), "the mesh's ") {
		t.Errorf("the join: %v", err)
	}
	if _, _, err := r.nodes[2].Get(ctx, nil, []byte("new at 2"), kv.Options{}); err != nil {
		t.Errorf("after the refusal: %v", err)
	}

	// A node whose own keys do not fit within its limit beside those of the mesh.
	r.reserve()
	r.start(3, 6<<20, nil)
	r.wait(3)
	r.fill(3, "own", 4000)
	if err = r.nodes[3].Join(ctx, string(r.addresses[1])); !errors.Is(err, kv.ErrMemoryLimit) || !strings.Contains(err.Error(), "of its own") {
		t.Errorf("the join with keys: %v", err)
	}

	// A node without a limit whose own keys do not fit within the limit of a member.
	r.reserve()
	r.start(4, 0, nil)
	r.wait(4)
	r.fill(4, "own", 6000)
	r.until("the first member to have heard of the second one's limit", func() bool { return r.nodes[0].Status().Members[1].MaxBytes == 8<<20 })
	if err = r.nodes[4].Join(ctx, string(r.addresses[0])); !errors.Is(err, kv.ErrMemoryLimit) || !strings.Contains(err.Error(), "and n5 brings ") {
		t.Errorf("the join with more keys than a member has room for: %v", err)
	}

	// A node with seeds waits. It joins once the mesh has been cleared, and so may the first node.
	r.reserve()
	r.start(5, 2<<20, []transport.Address{r.addresses[0], r.addresses[5]})
	r.until("the node with seeds says why it waits", func() bool {
		s := r.nodes[5].Status()
		return s.State != "active" && errors.Is(s.Reason, kv.ErrMemoryLimit) && strings.Contains(s.Reason.Error(), "n6 may hold 2.0 MiB")
	})
	if after := r.nodes[0].Status(); after.Epoch != before.Epoch || len(after.Members) != 2 {
		t.Errorf("the mesh was %+v and is %+v", before, after)
	}
	if err := r.nodes[0].Clear(ctx, kv.Options{}); err != nil {
		t.Fatal(err)
	}
	r.wait(5)
	if err := r.nodes[2].Join(ctx, string(r.addresses[0])); err != nil {
		t.Errorf("a join with room: %v", err)
	}
}

// limitedStart starts a node of a simulated mesh of three with a memory limit in bytes.
func (m *mesh) limitedStart(i int, limit int64) {
	m.t.Helper()
	m.start(i, m.seeds(3), func(c *Config) { c.MaxBytes = limit })
}

// A full member stops new values for as long as it answers, whether or not clients write, and no
// longer.
func TestAFullMemberThatIsSilentStopsNobody(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		refused := func(at int) bool {
			_, err := m.nodes[at].Set(context.Background(), []byte("k"), []byte("v"), kv.Options{})
			if err != nil && !errors.Is(err, kv.ErrMemoryLimit) {
				t.Fatal(err)
			}
			return err != nil
		}
		m.set(0, "k", "v")
		m.kill(2)
		m.limitedStart(2, 1)
		m.until(30*time.Second, "it is ready again", m.ready(2))
		for range 20 {
			if !refused(0) || !refused(1) || !refused(2) {
				t.Fatal("a value was stored although a member is full")
			}
			time.Sleep(time.Second)
		}
		const silence = 4 * time.Second // what a member has said counts for a shorter time than this
		m.isolate(2, true)
		m.until(silence, "the two others go on without it", func() bool { return !refused(0) && !refused(1) })
		m.isolate(2, false)
		m.until(2*time.Second, "it is heard again", func() bool { return refused(0) && refused(1) })
		m.kill(2)
		m.until(silence, "the two others go on without it", func() bool { return !refused(0) && !refused(1) })
		m.limitedStart(2, 1<<30)
		m.until(30*time.Second, "it is ready again", m.ready(2))
		if refused(0) || refused(1) || refused(2) {
			t.Error("a new process is judged by what the process before it has said")
		}
	})
}

// A rebuilt node that is full tells the others before it counts as a member, whichever record was
// the first above the limit.
func TestAFullNodeSaysSoBeforeItCounts(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 500 {
			m.set(i%2, key(i), strings.Repeat("v", 1000))
		}
		again := func(limit int64) {
			before := m.nodes[0].Status().Members[2].Incarnation
			m.kill(2)
			m.limitedStart(2, limit)
			m.until(30*time.Second, "the rebuilt node counts", func() bool {
				it := m.nodes[0].Status().Members[2]
				return it.Incarnation != before && it.State == "active"
			})
		}
		again(0)
		m.until(10*time.Second, "it holds everything", m.equal(0, 1, 2))
		whole := m.nodes[2].Status().Bytes
		for limit := whole; limit > 100<<10; limit -= 128 << 10 {
			again(limit)
			if _, err := m.nodes[0].Set(context.Background(), []byte("k"), []byte("v"), kv.Options{}); !errors.Is(err, kv.ErrMemoryLimit) {
				t.Errorf("limit %d of %d: %v", limit, whole, err)
			}
			m.until(30*time.Second, "it serves", m.ready(2))
		}
	})
}

// A node that copies what others hold names a member that holds more than the node may hold.
func TestANodeThatIsTooSmallSaysSoWhileItCopies(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 500 {
			m.set(i%2, key(i), strings.Repeat("v", 1000))
		}
		m.until(10*time.Second, "all hold everything", m.equal(0, 1, 2))
		holds := map[string]int64{m.name(0): m.nodes[0].Status().Bytes, m.name(1): m.nodes[1].Status().Bytes}
		m.kill(2)
		m.limitedStart(2, min(holds[m.name(0)], holds[m.name(1)])-1)
		var s kv.Status
		for end := time.Now().Add(30 * time.Second); s.Larger == "" && time.Now().Before(end); time.Sleep(50 * time.Microsecond) {
			s = m.nodes[2].Status() // often: a copy takes a few milliseconds
		}
		if bytes, ok := holds[s.Larger]; !ok || s.LargerBytes != bytes {
			t.Errorf("it names %q, which holds %d, want one of %v", s.Larger, s.LargerBytes, holds)
		}
		m.until(30*time.Second, "it is full", func() bool { return m.nodes[2].Status().Members[2].Full })
		if s = m.nodes[2].Status(); s.Larger != "" {
			t.Errorf("it is full, and still names %s", s.Larger)
		}
	})
}

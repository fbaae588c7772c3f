package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"viakv/api/document"
	"viakv/cmd/viakv/viakvtest"
)

// mesh is a cluster of real processes on loopback.
type mesh struct {
	t     *testing.T
	names []string
	nodes map[string]*member
	drain string // how long a node goes on serving after SIGTERM; empty: for a moment
	// How processes start; nil: as in viakvtest.Start.
	start func(args ...string) *viakvtest.Process
}

type member struct {
	*viakvtest.Process
	name, http, peer string
	seeds            string
}

func newMember(t *testing.T, name string) *member {
	t.Helper()
	return &member{name: name, http: viakvtest.FreeAddress(t), peer: viakvtest.FreeAddress(t)}
}

// newMesh starts a cluster and waits until all nodes are ready.
func newMesh(t *testing.T, names ...string) *mesh {
	t.Helper()
	return formed(&mesh{t: t}, names...)
}

// formed is newMesh for a mesh that differs from others.
func formed(m *mesh, names ...string) *mesh {
	t := m.t
	t.Helper()
	m.drain = cmp.Or(m.drain, "10ms")
	if m.start == nil {
		m.start = func(args ...string) *viakvtest.Process { return viakvtest.Start(t, args...) }
	}
	m.names, m.nodes = names, map[string]*member{}
	var seeds []string
	for _, n := range names {
		m.nodes[n] = newMember(t, n)
		seeds = append(seeds, m.nodes[n].peer)
	}
	for _, n := range names {
		m.nodes[n].seeds = strings.Join(seeds, ",")
		m.boot(n)
	}
	for _, n := range names {
		m.ready(n)
	}
	return m
}

// lone starts a standalone node.
func (m *mesh) lone(name string) *member {
	m.t.Helper()
	m.nodes[name] = newMember(m.t, name)
	m.back(name)
	return m.nodes[name]
}

func (m *mesh) boot(name string) {
	m.t.Helper()
	n := m.nodes[name]
	n.Process = m.start("serve", "--name", name, "--http", n.http, "--peer", n.peer, "--seeds", n.seeds, "--drain", m.drain, "--log-format", "json")
}

func (m *mesh) ready(name string) {
	m.t.Helper()
	viakvtest.AwaitStatus(m.t, http.StatusOK, m.nodes[name].http, "/readyz")
}

// back starts a node that has ended, and waits until it is ready.
func (m *mesh) back(name string) {
	m.t.Helper()
	m.boot(name)
	m.ready(name)
}

func (m *mesh) kill(name string) {
	m.t.Helper()
	m.nodes[name].Kill()
}

// ask sends a request and wants this status.
func (m *mesh) ask(name string, want int, path string, arguments ...string) string {
	m.t.Helper()
	got, body := viakvtest.Fetch(m.t, m.nodes[name].http, path, arguments...)
	if got != want {
		m.t.Fatalf("%s %s %v: %d %s, want %d", name, path, arguments, got, body, want)
	}
	return body
}

// refused waits until a node refuses a get: its leases end a moment after the others are gone.
func (m *mesh) refused(name, key string) {
	m.t.Helper()
	viakvtest.Await(m.t, name+" to refuse a get", func() bool {
		status, _ := viakvtest.Fetch(m.t, m.nodes[name].http, "/get", "k", key)
		return status == 503
	})
}

func (m *mesh) set(name, key, value string) {
	m.t.Helper()
	m.ask(name, 200, "/set", "k", key, "v", value)
}

func (m *mesh) want(name, key, value string) {
	m.t.Helper()
	if got := m.ask(name, 200, "/get", "k", key); got != value {
		m.t.Fatalf("%s: %s is %q, want %q", name, key, got, value)
	}
}

func (m *mesh) cluster(name string) (s document.Status) {
	m.t.Helper()
	if err := json.Unmarshal([]byte(m.ask(name, 200, "/cluster")), &s); err != nil {
		m.t.Fatal(err)
	}
	return s
}

// equal waits until all the named nodes hold the same.
func (m *mesh) equal(names ...string) {
	m.t.Helper()
	viakvtest.Await(m.t, "equal digests", func() bool {
		first := m.cluster(names[0]).Digest
		for _, n := range names[1:] {
			if m.cluster(n).Digest != first {
				return false
			}
		}
		return true
	})
}

func TestOneNodeAfterTheOtherDiesAndComesBack(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "a", "b", "c")
	for i := range 60 {
		m.set(m.names[i%3], fmt.Sprint("k", i), fmt.Sprint("v", i))
	}
	for round, victim := range m.names {
		m.kill(victim)
		for i := range 60 {
			if n := m.names[i%3]; n != victim {
				m.want(n, fmt.Sprint("k", i), fmt.Sprint("v", i))
				m.set(n, fmt.Sprint("while", round), fmt.Sprint(i))
			}
		}
		m.back(victim)
		for i := range 60 {
			m.want(victim, fmt.Sprint("k", i), fmt.Sprint("v", i))
		}
	}
	m.equal(m.names...)
}

// Under load, only the clients of the dead node notice its death.
func TestADeathFailsNoRequestElsewhere(t *testing.T) {
	m := newMesh(t, "a", "b", "c")
	var stop atomic.Bool
	var asked atomic.Int64
	var load sync.WaitGroup
	for i := range 4 {
		load.Go(func() {
			for j := 0; !stop.Load(); j++ {
				n, key := m.nodes[m.names[j%2]], fmt.Sprint("k", i, j%50)
				if got, body := viakvtest.Fetch(t, n.http, "/set", "k", key, "v", fmt.Sprint(j)); got != 200 {
					t.Errorf("set at %s: %d %s", n.name, got, body)
				}
				if got, body := viakvtest.Fetch(t, n.http, "/get", "k", key); got != 200 || body != fmt.Sprint(j) {
					t.Errorf("get at %s: %d %s, want %d", n.name, got, body, j)
				}
				asked.Add(2)
			}
		})
	}
	phase := func(what string, act func()) {
		t.Log(what)
		act()
		for goal := asked.Load() + 200; asked.Load() < goal; time.Sleep(time.Millisecond) {
			if t.Failed() {
				break
			}
		}
	}
	phase("load", func() {})
	phase("c dies", func() { m.kill("c") })
	phase("c comes back", func() { m.back("c") })
	stop.Store(true)
	load.Wait()
	m.equal(m.names...)
}

func TestWithoutAMajorityTheMeshFailsClosed(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "a", "b", "c")
	m.set("a", "k", "v")
	m.kill("a")
	m.kill("b")
	m.refused("c", "k")
	for _, path := range []string{"/get", "/is", "/rm"} {
		if body := m.ask("c", 503, path, "k", "k"); !strings.Contains(body, `"outcome":"none"`) {
			t.Errorf("%s: %s", path, body)
		}
	}
	m.ask("c", 503, "/set", "k", "k", "v", "w")
	if s, body := viakvtest.Fetch(t, m.nodes["c"].http, "/getAll"); s == 200 && strings.HasSuffix(body, "}") {
		t.Errorf("a scan without a majority ended well: %s", body)
	}
	// Two empty processes must not pass for the lost cluster, as long as the third node remembers
	// it.
	m.boot("a")
	m.boot("b")
	m.nodes["a"].Line("admission")
	m.nodes["b"].Line("admission")
	for _, n := range []string{"a", "b"} {
		m.refused(n, "k")
		m.ask(n, 503, "/readyz")
	}
	// Once no node remembers the lost cluster, the seeds found a new one.
	m.kill("c")
	m.boot("c")
	m.ready("a")
	m.ready("b")
	m.ready("c")
	m.ask("a", 404, "/get", "k", "k")
}

func TestAPausedNodeServesNothingStale(t *testing.T) {
	m := newMesh(t, "a", "b", "c")
	m.set("a", "k", "old")
	m.equal(m.names...)
	m.nodes["c"].Signal(syscall.SIGSTOP)
	m.set("a", "k", "new")
	m.ask("b", 200, "/clear")
	m.set("b", "k", "newest")
	m.nodes["c"].Signal(syscall.SIGCONT)
	m.want("c", "k", "newest")
	m.equal(m.names...)
}

func TestJoinsAndLeaves(t *testing.T) {
	m := newMesh(t, "a", "b", "c")
	m.set("a", "mesh", "yes")
	m.set("a", "both", "mesh")
	m.lone("own")
	m.set("own", "own", "brought along")
	for range 3 { // so that its counter is higher than the mesh's
		m.set("own", "both", "own")
	}
	m.ask("own", 200, "/join", "peer", m.nodes["a"].peer)
	for _, n := range []string{"a", "b", "c", "own"} {
		m.want(n, "mesh", "yes")
		m.want(n, "own", "brought along")
		m.want(n, "both", "own")
	}
	m.ask("own", 409, "/join", "peer", m.nodes["a"].peer)
	if s := m.cluster("b"); s.N != 4 || s.W != 3 || s.Unsettled != "" {
		t.Fatalf("%+v", s)
	}
	m.equal("a", "b", "c", "own")

	// One member leaves by itself, and one is removed by another member after its death.
	m.ask("own", 200, "/leave")
	m.ask("own", 503, "/get", "k", "mesh")
	m.ask("own", 503, "/readyz")
	m.ask("a", 404, "/leave", "node", "nobody")
	m.kill("c")
	m.ask("a", 200, "/leave", "node", "c")
	if s := m.cluster("b"); s.N != 2 {
		t.Fatalf("%+v", s)
	}
	m.want("b", "both", "own")
	// The node may join again.
	m.ask("own", 200, "/join", "peer", m.nodes["b"].peer)
	m.want("own", "mesh", "yes")
}

func TestFiveJoinAtOnce(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "a", "b", "c")
	m.set("a", "k", "v")
	var joiners []*member
	for i := range 5 {
		joiners = append(joiners, m.lone(fmt.Sprint("j", i)))
	}
	var joins sync.WaitGroup
	for i, n := range joiners {
		via := m.nodes[m.names[i%3]].peer
		joins.Go(func() {
			if got, body := viakvtest.Fetch(t, n.http, "/join", "peer", via); got != 200 {
				t.Errorf("%s: %d %s", n.name, got, body)
			}
		})
	}
	joins.Wait()
	if s := m.cluster("a"); s.N != 8 || s.Unsettled != "" {
		t.Fatalf("%+v", s)
	}
	for n := range m.nodes {
		m.want(n, "k", "v")
	}
}

func TestJoinsThatCannotBe(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "a", "b", "c")
	n := m.lone("n")
	m.ask("n", 502, "/join", "peer", viakvtest.FreeAddress(t))
	m.ask("n", 502, "/join", "peer", n.http) // not a peer address
	m.ask("n", 400, "/join")
	twin := newMember(t, "a")
	m.nodes["twin"] = twin
	twin.Process = viakvtest.Start(t, "serve", "--name", "a", "--http", twin.http, "--peer", twin.peer, "--log-format", "json")
	m.ready("twin")
	m.ask("twin", 409, "/join", "peer", m.nodes["b"].peer)
	// Both nodes still are what they were.
	m.set("n", "k", "v")
	m.set("twin", "k", "v")
	if s := m.cluster("a"); s.N != 3 {
		t.Fatalf("%+v", s)
	}
}

func TestNothingOlderThanAClearIsReadAgain(t *testing.T) {
	m := newMesh(t, "a", "b", "c")
	var stop atomic.Bool
	var number atomic.Int64
	var floor atomic.Int64      // values with smaller numbers were written before a clear that has answered
	var writing [3]atomic.Int64 // the number that each client is writing; zero: none
	var load sync.WaitGroup
	for i := range writing {
		load.Go(func() {
			for !stop.Load() {
				n, oldest := m.nodes[m.names[i]], floor.Load()
				got, body := viakvtest.Fetch(t, n.http, "/get", "k", "k")
				var value int64
				if _, err := fmt.Sscan(body, &value); got == 200 && (err != nil || value < oldest) {
					t.Errorf("read %q after the clear of everything before %d", body, oldest)
				}
				mine := number.Add(1)
				writing[i].Store(mine)
				viakvtest.Fetch(t, n.http, "/set", "k", "k", "v", fmt.Sprint(mine))
				writing[i].Store(0)
			}
		})
	}
	for i := range 10 {
		// A number is drawn before writing shows it, so the last numbers of the three clients may
		// not show yet. Each number below those, and below the lowest one that shows, belongs to a
		// write that has ended.
		oldest := number.Load() - int64(len(writing))
		for w := range writing {
			if x := writing[w].Load(); x > 0 {
				oldest = min(oldest, x)
			}
		}
		m.ask(m.names[i%3], 200, "/clear")
		floor.Store(oldest)
		time.Sleep(20 * time.Millisecond)
	}
	stop.Store(true)
	load.Wait()
	m.equal(m.names...)
}

// Only the operator can make a cluster go on without its majority, and that is possible right after
// the loss.
func TestAForcedLeaveRightAfterTheMajorityDied(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "a", "b", "c")
	m.set("a", "k", "v")
	m.equal("a", "b", "c")
	m.kill("a")
	m.kill("b")
	for _, dead := range []string{"a", "b"} {
		if body := m.ask("c", 200, "/leave", "node", dead, "force", "true"); !strings.Contains(body, `"forced":true`) && !strings.Contains(body, `"forced": true`) {
			t.Fatal(body)
		}
	}
	m.lives("c", "k", "v") // alone
}

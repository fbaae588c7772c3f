//go:build alerts && linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"viakv/api/client"
	"viakv/cmd/viakv/viakvtest"
)

// These tests make, on real processes, the case of each alert in docs/monitoring/alerts.yml, and
// calm cases. In each of them just the alerts fire that name the case.

// meshWith starts a mesh whose processes have these flags in addition.
func meshWith(t *testing.T, names []string, flags ...string) *mesh {
	t.Helper()
	return formed(&mesh{t: t, start: func(args ...string) *viakvtest.Process { return viakvtest.Start(t, append(args, flags...)...) }}, names...)
}

var three = []string{"a", "b", "c"}

// clients sends requests from some clients at each node, one after another, until the end of the
// test or until stop is called. The arguments of path are the client and the request.
func clients(t *testing.T, addresses []string, each int, path func(client, request int) string) (stop func()) {
	t.Helper()
	var ended atomic.Bool
	var working sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: each * len(addresses)}
	asking := &http.Client{Timeout: viakvtest.AnswerTime, Transport: transport}
	for c := range each * len(addresses) {
		working.Go(func() {
			for i := 0; !ended.Load(); i++ {
				answer, err := asking.Get("http://" + addresses[c%len(addresses)] + path(c, i))
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
		})
	}
	stop = sync.OnceFunc(func() {
		ended.Store(true)
		working.Wait()
		transport.CloseIdleConnections()
	})
	t.Cleanup(stop)
	return stop
}

func (m *mesh) addresses() (all []string) {
	for _, n := range m.names {
		all = append(all, m.nodes[n].http)
	}
	return all
}

// mixed are the requests of a load of all kinds.
func mixed(client, i int) string {
	key := fmt.Sprint("key", client, "-", i/4%100)
	return []string{"/set?v=v&k=", "/get?k=", "/is?k=", "/rm?k="}[i%4] + key
}

func TestAlertsOfAnIdleMesh(t *testing.T) {
	t.Parallel()
	w := watchMesh(newMesh(t, three...))
	w.hold()
	w.fires()
}

// One node bears no failure, and neither do two. That is how they were founded, and no alert.
func TestAlertsOfAMeshThatBearsNoFailure(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{"a"}, {"a", "b"}} {
		t.Run(fmt.Sprint(len(names)), func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, names...)
			w := watchMesh(m)
			clients(t, m.addresses(), 2, mixed)
			w.hold()
			w.fires()
		})
	}
}

// A node waits for seeds that do not answer. The mesh that it is no member of goes on.
func TestAlertsOfANodeThatWaits(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	m.nodes["d"] = newMember(t, "d")
	m.nodes["d"].seeds = viakvtest.FreeAddress(t)
	m.boot("d")
	w.add("d", m.nodes["d"].http)
	m.nodes["d"].Line("the node is waiting")
	w.hold()
	w.fires("ViakvNodeNotActive d")
}

func TestAlertsUnderLoad(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	clients(t, m.addresses(), 4, mixed)
	w.hold()
	w.fires()
}

// Overlapping removes and sets of a few keys split the votes now and then, which is no outage.
func TestAlertsUnderContendedRemoves(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	clients(t, m.addresses(), 8, func(client, i int) string {
		return []string{"/set?v=v&k=", "/rm?k="}[(client+i)%2] + fmt.Sprint("k", i%2)
	})
	w.hold()
	total := 0.0
	for _, rate := range w.rates("viakv_removes_contended_total") {
		total += rate
	}
	t.Logf("%.0f removes a second were left open", total)
	if total < 3 {
		t.Errorf("the case did not come about: %f removes a second were left open", total)
	}
	w.fires()
}

// A member that was killed comes back empty and rebuilds, while clients go on.
func TestAlertsOfARestart(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	clients(t, m.addresses(), 2, mixed)
	m.kill("c")
	time.Sleep(2 * time.Second)
	m.back("c")
	w.hold()
	w.fires()
}

// A fourth node joins and leaves, while clients go on. Its operator stops it after that.
func TestAlertsOfAJoinAndALeave(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	clients(t, m.addresses(), 2, mixed)
	d := m.lone("d")
	w.add("d", d.http)
	m.ask("d", 200, "/join", "peer", m.nodes["a"].peer)
	w.settle()
	m.ask("d", 200, "/leave")
	w.drop("d")
	d.Stop()
	w.hold()
	w.fires()
}

func TestAlertsOfWeakQuorums(t *testing.T) {
	t.Parallel()
	w := watchMesh(meshWith(t, three, "--read-quorum", "1", "--write-quorum", "1", "--allow-weak-quorums"))
	w.hold()
	w.fires("ViakvWeakQuorums")
}

func TestAlertsOfADeadNode(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	clients(t, m.addresses(), 4, mixed)
	m.kill("c")
	w.hold()
	w.fires("ViakvNodeDown c", "ViakvMemberUnreachable a c", "ViakvMemberUnreachable b c", "ViakvNoFailureBorne")
}

func TestAlertsOfAPausedNode(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	clients(t, m.addresses()[:2], 4, mixed)
	m.nodes["c"].Signal(syscall.SIGSTOP)
	w.hold()
	w.fires("ViakvNodeDown c", "ViakvMemberUnreachable a c", "ViakvMemberUnreachable b c", "ViakvNoFailureBorne")
}

func TestAlertsOfALostMajority(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	clients(t, m.addresses()[:1], 4, mixed)
	m.kill("b")
	m.kill("c")
	w.hold()
	w.fires("ViakvNodeDown b", "ViakvNodeDown c", "ViakvMemberUnreachable a b", "ViakvMemberUnreachable a c", "ViakvMajorityLost", "ViakvRequestsFail a")
}

// Two of three were restarted. They are empty and wait to be let in, which nobody can do.
func TestAlertsOfAMajorityThatLostItsMemory(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	m.kill("b")
	m.kill("c")
	m.boot("b")
	m.boot("c")
	m.nodes["b"].Line("admission")
	m.nodes["c"].Line("admission")
	w.hold()
	w.fires("ViakvNodeNotActive b", "ViakvNodeNotActive c", "ViakvMemberUnreachable a b", "ViakvMemberUnreachable a c", "ViakvMajorityLost")
}

// One node is dead where a write needs all. Gets are answered by leases of those that are left.
func TestAlertsWhereAllMustAnswer(t *testing.T) {
	t.Parallel()
	m := meshWith(t, three, "--read-quorum", "1", "--write-quorum", "all")
	w := watchMesh(m)
	clients(t, m.addresses()[:1], 4, func(_, i int) string { return fmt.Sprint("/set?k=k&v=", i) })
	m.kill("c")
	w.hold()
	w.fires("ViakvNodeDown c", "ViakvMemberUnreachable a c", "ViakvMemberUnreachable b c", "ViakvReadsOnly", "ViakvRequestsFail a")
}

// Two nodes are dead where a read needs one. It is answered, and nothing can be changed.
func TestAlertsWhereOnlyReadsGoOn(t *testing.T) {
	t.Parallel()
	m := meshWith(t, three, "--read-quorum", "1", "--write-quorum", "1", "--allow-weak-quorums")
	w := watchMesh(m)
	clients(t, m.addresses()[:1], 4, func(client, i int) string { return "/get?k=k" })
	m.kill("b")
	m.kill("c")
	w.hold()
	w.fires("ViakvNodeDown b", "ViakvNodeDown c", "ViakvMemberUnreachable a b", "ViakvMemberUnreachable a c", "ViakvWeakQuorums",
		"ViakvReadsOnly", "ViakvMembersCannotChange")
}

func TestAlertsWhenAllAreDown(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	for _, n := range three {
		m.kill(n)
	}
	w.hold()
	w.fires("ViakvNodeDown a", "ViakvNodeDown b", "ViakvNodeDown c", "ViakvMajorityLost")
}

// Two of five are dead. The others serve, and bear no further failure.
func TestAlertsOfTheLastFailureThatIsBorne(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "a", "b", "c", "d", "e")
	w := watchMesh(m)
	clients(t, m.addresses()[:3], 2, mixed)
	m.kill("d")
	m.kill("e")
	w.hold()
	w.fires("ViakvNodeDown d", "ViakvNodeDown e", "ViakvMemberUnreachable a d", "ViakvMemberUnreachable a e", "ViakvMemberUnreachable b d",
		"ViakvMemberUnreachable b e", "ViakvMemberUnreachable c d", "ViakvMemberUnreachable c e", "ViakvNoFailureBorne")
}

// A node is cut off from the others, and clients go on asking it.
func TestAlertsOfANodeThatIsCutOff(t *testing.T) {
	t.Parallel()
	l := lab(t, 3)
	w := watchLab(t, l, 3)
	clients(t, []string{l.HTTP(2)}, 8, mixed)
	l.Isolate(2)
	w.hold()
	w.fires("ViakvMemberUnreachable a node-c", "ViakvMemberUnreachable b node-c", "ViakvMemberUnreachable c node-a", "ViakvMemberUnreachable c node-b",
		"ViakvNodeCutOff c", "ViakvRequestsFail c", "ViakvNoFailureBorne")
}

// While a node is cut off, the others agree on a change that it does not know of.
func TestAlertsOfDifferentEpochs(t *testing.T) {
	t.Parallel()
	l := lab(t, 3)
	w := watchLab(t, l, 3)
	l.Isolate(2)
	viakvtest.Await(t, "a clear", func() bool { return viakvtest.Status(t, l.HTTP(0), "/clear") == 200 })
	w.hold()
	w.fires("ViakvMemberUnreachable a node-c", "ViakvMemberUnreachable b node-c", "ViakvMemberUnreachable c node-a", "ViakvMemberUnreachable c node-b",
		"ViakvNodeCutOff c", "ViakvClusterDisagrees", "ViakvNoFailureBorne")
}

// A restarted node is let in, and cannot copy what it needs, because it does not reach enough
// members.
func TestAlertsOfARebuildThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	l := lab(t, 3)
	w := watchLab(t, l, 3)
	l.Kill(2)
	var leader string // lets the node in, so it must reach it
	viakvtest.Await(t, "a leader", func() bool {
		leader = viakvtest.ClusterOf(t, l.HTTP(0)).Leader
		return leader == l.Name(0) || leader == l.Name(1)
	})
	far, near := 0, 1
	if leader == l.Name(0) {
		far, near = 1, 0
	}
	l.Cut(far, 2)
	l.Cut(2, far)
	if err := l.Start(2); err != nil {
		t.Fatal(err)
	}
	viakvtest.Await(t, "the rebuild to begin", func() bool { return viakvtest.ClusterOf(t, l.HTTP(near)).Members[2].State == "rebuilding" })
	w.hold()
	w.fires("ViakvSlotVacant", "ViakvNoFailureBorne", "ViakvNodeNotActive c",
		"ViakvMemberUnreachable "+string(rune('a'+far))+" node-c", "ViakvMemberUnreachable c "+l.Name(far))
}

// A member leaves while another one, which must take part, is paused.
func TestAlertsOfALeaveThatIsNotSettled(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "a", "b", "c", "d")
	w := watchMesh(m)
	m.nodes["c"].Signal(syscall.SIGSTOP)
	go viakvtest.Fetch(t, m.nodes["a"].http, "/leave", "node", "d") // answers when it is settled
	viakvtest.Await(t, "the leave to be agreed", func() bool { return m.cluster("a").Unsettled != "" })
	w.drop("d")
	w.hold()
	w.fires("ViakvNodeDown c", "ViakvMemberUnreachable a c", "ViakvMemberUnreachable b c", "ViakvResizeStuck", "ViakvNoFailureBorne")
}

// The way to one node is long, so that reads there take long. Leases are over before it learns that
// it has them.
func TestAlertsOfSlowReads(t *testing.T) {
	t.Parallel()
	l := lab(t, 3)
	w := watchLab(t, l, 3)
	l.Delay(0, 80*time.Millisecond)
	clients(t, []string{l.HTTP(0)}, 8, func(client, i int) string { return fmt.Sprint("/get?k=k", i%100) })
	w.hold()
	w.fires("ViakvSlowReads a", "ViakvReadsByQuorum a")
}

// fillTo stores values until a node has used a share of its memory limit.
func (m *mesh) fillTo(share float64) {
	m.t.Helper()
	b := newBulk(m.t, m.nodes["a"].http, strings.Repeat("x", 256))
	for s := m.cluster("a"); !s.Members[0].Full && float64(s.Bytes) < share*float64(s.MaxBytes); s = m.cluster("a") {
		b.set(100)
	}
}

func TestAlertsOfMemoryThatIsAlmostFull(t *testing.T) {
	t.Parallel()
	m := meshWith(t, three, "--max-memory", "12MiB")
	w := watchMesh(m)
	m.fillTo(0.92)
	w.hold()
	w.fires("ViakvMemoryAlmostFull a", "ViakvMemoryAlmostFull b", "ViakvMemoryAlmostFull c")
}

func TestAlertsOfFullMemory(t *testing.T) {
	t.Parallel()
	m := meshWith(t, three, "--max-memory", "4MiB")
	w := watchMesh(m)
	m.fillTo(2)
	w.hold()
	w.fires("ViakvMemoryAlmostFull a", "ViakvMemoryAlmostFull b", "ViakvMemoryAlmostFull c", "ViakvMemoryFull - a", "ViakvMemoryFull - b",
		"ViakvMemoryFull - c")
}

func TestAlertsOfOverload(t *testing.T) {
	t.Parallel()
	m := meshWith(t, three, "--max-in-flight", "1")
	w := watchMesh(m)
	clients(t, m.addresses()[:1], 16, mixed)
	w.hold()
	w.fires("ViakvOverload a")
}

func TestAlertsOfTooManyConnections(t *testing.T) {
	t.Parallel()
	m := meshWith(t, three, "--max-connections", "8")
	w := watchMesh(m)
	flood(t, m.nodes["a"].http, 20)
	w.hold()
	w.fires("ViakvConnectionsFull a")
}

func TestAlertsOfTooFewDescriptors(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	limitFiles(t, m.nodes["a"].Pid(), 3)
	flood(t, m.nodes["a"].http, 20)
	w.hold()
	w.fires("ViakvCannotAccept a")
}

// bulk changes many keys over one connection, without waiting for each answer.
type bulk struct {
	t     *testing.T
	conn  *client.Conn
	value []byte
	next  int // key
}

func newBulk(t *testing.T, address, value string) *bulk {
	t.Helper()
	c, err := client.New(client.Config{Endpoints: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	conn, err := c.Connect(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	conn.SetDeadline(time.Now().Add(viakvtest.Patience))
	return &bulk{t: t, conn: conn, value: []byte(value)}
}

func (b *bulk) key(i int) []byte { return fmt.Appendf(nil, "bulk-%d", i) }

// set stores n new keys.
func (b *bulk) set(n int) {
	for range n {
		b.conn.AppendSet(b.key(b.next), b.value)
		b.next++
	}
	b.answers(n)
}

// remove removes the n keys that were stored last.
func (b *bulk) remove(n int) {
	for i := range n {
		b.conn.AppendRemove(b.key(b.next - 1 - i))
	}
	b.answers(n)
}

func (b *bulk) answers(n int) {
	err := b.conn.Flush()
	for range n {
		if err == nil {
			_, err = b.conn.Receive()
		}
	}
	if err != nil {
		b.t.Error(err)
	}
}

// A member misses more keys than the others note for it.
func TestAlertsOfAMemberThatMissesMuch(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	m.nodes["c"].Signal(syscall.SIGSTOP)
	var filling sync.WaitGroup
	for i := range 4 {
		b := newBulk(t, m.nodes["a"].http, "v")
		b.next = i * 1_000_000
		filling.Go(func() {
			for range 110 {
				b.set(250)
			}
		})
	}
	filling.Wait()
	w.hold()
	w.fires("ViakvNodeDown c", "ViakvMemberUnreachable a c", "ViakvMemberUnreachable b c", "ViakvNoFailureBorne", "ViakvHintsPileUp a")
}

// While a member is paused, removed keys are not forgotten. They grow in number as long as clients
// remove keys.
func TestAlertsOfTombstones(t *testing.T) {
	t.Parallel()
	m := newMesh(t, three...)
	w := watchMesh(m)
	w.rise("viakv_store_tombstones")
	m.nodes["c"].Signal(syscall.SIGSTOP)
	b := newBulk(t, m.nodes["a"].http, "v")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for !t.Failed() {
			select {
			case <-stop:
				return
			default:
				b.set(100)
				b.remove(100)
			}
		}
	}()
	w.hold()
	w.end() // while they still grow in number
	close(stop)
	<-stopped
	slowest := math.Inf(1)
	for instance, rate := range w.rates("viakv_store_tombstones") {
		if instance != "c" {
			slowest = min(slowest, rate)
		}
	}
	if slowest < 20 {
		t.Fatalf("the case did not come about: %f tombstones a second", slowest)
	}
	w.long = int(1_000_000/slowest) + 70*60 // until there are enough, and as long as the rule waits
	w.fires("ViakvNodeDown c", "ViakvMemberUnreachable a c", "ViakvMemberUnreachable b c", "ViakvNoFailureBorne",
		"ViakvTombstonesPileUp a", "ViakvTombstonesPileUp b")
}

// Nothing brings a real process to a fault of the program. So one sample is changed.
func TestAlertsOfAFault(t *testing.T) {
	t.Parallel()
	for _, metric := range []string{"viakv_http_panics_total", "viakv_peer_panics_total", "viakv_digest_drift_total"} {
		t.Run(metric, func(t *testing.T) {
			t.Parallel()
			w := watchMesh(newMesh(t, "a"))
			w.hold()
			w.pretend(metric, "1")
			w.fires("ViakvFault a")
		})
	}
}

// Each alert has a case in this package, in which it fires.
func TestEveryAlertHasACase(t *testing.T) {
	var cases strings.Builder
	for _, file := range []string{"alerts_test.go", "alerts_database_test.go"} {
		cases.Write(viakvtest.Shipped(t, "cmd/viakv/e2e/"+file))
	}
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(viakvtest.Shipped(t, "docs/monitoring/alerts.yml")), -1)
	if len(alerts) < 10 {
		t.Fatalf("%d alerts", len(alerts))
	}
	for _, alert := range alerts {
		if !regexp.MustCompile(`"` + alert[1] + `[ "]`).MatchString(cases.String()) {
			t.Errorf("no case expects %s", alert[1])
		}
	}
}

func TestAlertRulesAndTheConfigurationAreValid(t *testing.T) {
	dir := filepath.Join(viakvtest.ModuleRoot(t), "docs", "monitoring")
	for _, args := range [][]string{{"check", "rules", "--lint-fatal", filepath.Join(dir, "alerts.yml")}, {"check", "config", filepath.Join(dir, "prometheus.yml")}} {
		if out, err := promtool(t, args...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

// The dashboard's expressions are ones that Prometheus can read.
func TestAlertDashboardExpressionsAreValid(t *testing.T) {
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(viakvtest.Shipped(t, "docs/monitoring/grafana/dashboards/viakv.json"), &board); err != nil || len(board.Panels) < 10 {
		t.Fatalf("%v, %d panels", err, len(board.Panels))
	}
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for i, panel := range board.Panels {
		for k, target := range panel.Targets {
			rules += fmt.Sprintf("  - {record: panel_%d_%d, expr: %q}\n", i, k, target.Expr)
		}
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "check", "rules", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

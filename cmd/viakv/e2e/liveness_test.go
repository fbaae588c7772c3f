package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"viakv/api/client"
	"viakv/bench/chaos"
	"viakv/cmd/viakv/viakvtest"
)

// These tests check liveness on real processes. While one fault stays, the other nodes make
// progress within the time that docs/operations.md states. VIAKV_TEST_FAULTS=1 runs these tests.
// They allow ten times the stated time, because a machine may be busy; a hang exceeds that as well.
// With VIAKV_TEST_STRICT=1 they allow the stated time only.

const (
	afterKill  = time.Second     // the end of the connection is noticed at once
	afterPause = 2 * time.Second // only the silence can be noticed
	// afterScan is longer: a scan asks many questions, some of them to a node that is silent.
	afterScan = 5 * time.Second
	// changes is for changes of the cluster, which must first elect another leader if the fault met
	// the leader.
	changes = 5 * time.Second
	slack   = 10
)

func allowed(stated time.Duration) time.Duration {
	if os.Getenv("VIAKV_TEST_STRICT") != "" {
		return stated
	}
	return slack * stated
}

func faultsOnly(t *testing.T) {
	t.Helper()
	if os.Getenv("VIAKV_TEST_FAULTS") == "" {
		t.Skip("set VIAKV_TEST_FAULTS=1, or run make test-faults")
	}
}

// lab starts a cluster of this test's own binary.
func lab(t *testing.T, nodes int) *chaos.Lab {
	t.Helper()
	logs, err := os.MkdirTemp("", "viakv-lab-")
	if err != nil {
		t.Fatal(err)
	}
	l, err := chaos.StartLab(t.Context(), viakvtest.SelfAs(t, t.TempDir()), logs, nodes, viakvtest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if crashes := l.Crashes(); len(crashes) > 0 {
			t.Errorf("nodes ended by themselves: %v", crashes)
		}
		l.Close()
		if t.Failed() {
			t.Logf("the nodes' logs are in %s", logs)
		} else {
			_ = os.RemoveAll(logs)
		}
	})
	return l
}

// pulse is how long one node went without a success of one kind of request, while a few clients
// asked for it all the time.
type pulse struct {
	node int
	kind string

	mu      sync.Mutex
	last    time.Time
	longest time.Duration
	failed  map[string]int
	good    int
}

func (p *pulse) beat(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if err != nil && !errors.Is(err, client.ErrMissing) {
		text := err.Error()
		p.failed[text[:min(len(text), 120)]]++
		return
	}
	p.good++
	p.longest, p.last = max(p.longest, now.Sub(p.last)), now
}

// pulses measures the nodes until the returned function is called, which returns the measurements.
func pulses(l *chaos.Lab, nodes ...int) (stop func() []*pulse) {
	const clients = 4
	ctx, cancel := context.WithCancel(context.Background())
	var (
		all     []*pulse
		running sync.WaitGroup
	)
	for _, node := range nodes {
		for _, kind := range []string{"set", "get", "rm", "getAll"} {
			p := &pulse{node: node, kind: kind, last: time.Now(), failed: map[string]int{}}
			all = append(all, p)
			for c := range clients {
				running.Go(func() {
					random := rand.New(rand.NewPCG(uint64(node), uint64(c)))
					for ctx.Err() == nil {
						key := fmt.Sprintf("live-%d", random.IntN(5000))
						switch kind {
						case "set":
							_, err := l.Client(node).Set(ctx, key, "value")
							p.beat(err)
						case "get":
							_, err := l.Client(node).Get(ctx, key)
							p.beat(err)
						case "rm":
							p.beat(l.Client(node).Remove(ctx, key))
						case "getAll":
							p.beat(readAll(ctx, l.Client(node)))
							time.Sleep(100 * time.Millisecond)
						}
						time.Sleep(5 * time.Millisecond) // a load that leaves the processors to the nodes
					}
				})
			}
		}
	}
	return func() []*pulse {
		now := time.Now()
		for _, p := range all { // the silence until now counts, too
			p.mu.Lock()
			p.longest = max(p.longest, now.Sub(p.last))
			p.mu.Unlock()
		}
		cancel()
		running.Wait()
		return all
	}
}

func readAll(ctx context.Context, c *client.Client) error {
	for _, err := range c.All(ctx, client.ScanOptions{}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// liveness makes a fault in a cluster of three. Each node in others must then answer each kind of
// request.
func liveness(t *testing.T, stated time.Duration, others []int, fault func(t *testing.T, l *chaos.Lab, ctx context.Context)) {
	faultsOnly(t)
	l := lab(t, 3)
	for i := range 500 {
		if _, err := l.Client(i%3).Set(t.Context(), fmt.Sprint("live-", i), "value"); err != nil {
			t.Fatal(err)
		}
	}
	stop := pulses(l, others...)
	ctx, cancel := context.WithCancel(t.Context())
	var faulty sync.WaitGroup
	faulty.Go(func() { fault(t, l, ctx) })
	time.Sleep(5 * time.Second) // how long the fault is watched
	cancel()
	for _, p := range stop() {
		t.Logf("%s %-3s longest silence %v, %d answers, failures %v", "node-"+string(rune('a'+p.node)), p.kind, p.longest.Round(time.Millisecond), p.good, p.failed)
		limit := allowed(stated)
		if p.kind == "getAll" {
			limit = allowed(afterScan)
		}
		if p.longest > limit {
			t.Errorf("node %d answered no %s for %v, want at most %v", p.node, p.kind, p.longest, limit)
		}
	}
	faulty.Wait()
}

func TestLivenessOneKilledForGood(t *testing.T) {
	liveness(t, afterKill, []int{0, 1}, func(_ *testing.T, l *chaos.Lab, _ context.Context) { l.Kill(2) })
}

func TestLivenessOnePausedForGood(t *testing.T) {
	liveness(t, afterPause, []int{0, 1}, func(_ *testing.T, l *chaos.Lab, _ context.Context) { l.Pause(2) })
}

func TestLivenessOneIsolatedForGood(t *testing.T) {
	liveness(t, afterPause, []int{0, 1}, func(_ *testing.T, l *chaos.Lab, _ context.Context) { l.Isolate(2) })
}

// One direction between two of three nodes is cut. All three keep answering, because each reaches
// the third node.
func TestLivenessOneWayCut(t *testing.T) {
	liveness(t, afterPause, []int{0, 1, 2}, func(_ *testing.T, l *chaos.Lab, _ context.Context) { l.Cut(2, 0) })
}

// Four nodes have a majority of three. With one of them stopped, each of the others needs all of
// the rest. This is the case right after a join.
func TestLivenessOnePausedAfterAJoin(t *testing.T) {
	liveness(t, afterPause, []int{0, 1}, func(t *testing.T, l *chaos.Lab, _ context.Context) {
		if err := l.Start(l.Spare()); err != nil {
			t.Error(err)
			return
		}
		if err := l.Settle(t.Context(), viakvtest.Patience); err != nil {
			t.Error(err)
			return
		}
		l.Pause(2)
	})
}

// A node that gets a tenth of the processor time that it needs does not slow down the other nodes.
func TestLivenessStarvedNode(t *testing.T) {
	liveness(t, afterPause, []int{0, 1}, func(_ *testing.T, l *chaos.Lab, ctx context.Context) {
		for ctx.Err() == nil {
			l.Pause(2)
			time.Sleep(90 * time.Millisecond)
			l.Resume(2)
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// A process that dies while it joins leaves a cluster that continues to serve and that gives up the
// join by itself.
func TestLivenessJoinerDies(t *testing.T) {
	liveness(t, afterKill, []int{0, 1, 2}, func(t *testing.T, l *chaos.Lab, _ context.Context) {
		random := rand.New(rand.NewPCG(1, 1))
		for range 5 {
			if err := l.Start(l.Spare()); err != nil {
				t.Error(err)
				return
			}
			joining := func() bool {
				s, err := l.Client(0).Cluster(t.Context())
				for _, m := range s.Members {
					if err == nil && m.HTTP == l.HTTP(l.Spare()) {
						return true
					}
				}
				return false
			}
			for end := time.Now().Add(viakvtest.Patience); !joining() && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Duration(random.Int64N(int64(20 * time.Millisecond)))) // anywhere in the join
			l.Kill(l.Spare())
			if s, err := l.Client(0).Cluster(t.Context()); err == nil && len(s.Members) == 4 && s.Members[3].State == "active" {
				return // it died as a member: another fault, and another test
			}
		}
	})
}

// Any member may stop, also the leader: the other members continue to agree on changes.
func TestLivenessChangesGoOnWithoutOneMember(t *testing.T) {
	faultsOnly(t)
	l := lab(t, 3)
	for stopped := range 3 {
		other := (stopped + 1) % 3
		if _, err := l.Client(other).Set(t.Context(), "live", "value"); err != nil {
			t.Fatal(err)
		}
		l.Pause(stopped)
		began := time.Now()
		for l.Client(other).Clear(t.Context()) != nil && time.Since(began) < allowed(changes) {
			continue // a clear ends by its own deadline, and may be repeated
		}
		took := time.Since(began)
		t.Logf("cleared after %v without node %d", took.Round(time.Millisecond), stopped)
		if took > allowed(changes) {
			t.Errorf("without node %d a clear took %v, want at most %v", stopped, took, allowed(changes))
		}
		if has, err := l.Client(other).Has(t.Context(), "live"); err != nil || has {
			t.Errorf("after the clear: %v, %v", has, err)
		}
		l.Resume(stopped)
		if err := l.Settle(t.Context(), viakvtest.Patience); err != nil {
			t.Fatal(err)
		}
		if has, err := l.Client(stopped).Has(t.Context(), "live"); err != nil || has {
			t.Errorf("at the node that missed the clear: %v, %v", has, err)
		}
	}
}

package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"viakv/api/client"
	"viakv/api/sleep"
	"viakv/bench/chaos"
	"viakv/bench/check"
	"viakv/cmd/viakv/viakvtest"
)

// hotFault is what happens to one node while clients ask all nodes for a few hot keys.
type hotFault struct {
	name string
	make func(t *testing.T, l *chaos.Lab, node int)
	// lasting says that the epoch stays the same. Then no set at another node may be left open.
	// Where it ends, a set may: too few members vouch for it if another one has written the key
	// meanwhile (L14). A remove may always: the key's owner carries it out, and may be the node.
	lasting bool
}

func hotPause(d time.Duration) hotFault {
	return hotFault{fmt.Sprint("paused for ", d), func(_ *testing.T, l *chaos.Lab, node int) {
		l.Pause(node)
		time.Sleep(d)
		l.Resume(node)
	}, true}
}

// Each node in turn is paused, for less than a lease and for more, killed, and replaced, while a
// few keys are read and written at all nodes. Leases end by clocks of their own in all this. No
// answer may be stale, and no set at a node that lives may be left open where the epoch stays.
func TestHotKeysUnderFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("makes faults to each of three processes")
	}
	l := lab(t, 3)
	var endpoints []*client.Client
	for i := range 3 {
		endpoints = append(endpoints, l.Client(i))
	}
	for node := range 3 {
		for _, f := range []hotFault{
			hotPause(20 * time.Millisecond),
			hotPause(200 * time.Millisecond),
			hotPause(2 * time.Second),
			{"killed", func(_ *testing.T, l *chaos.Lab, node int) { l.Kill(node) }, true},
			{"replaced", func(t *testing.T, l *chaos.Lab, node int) {
				if err := l.Start(node); err != nil {
					t.Error(err)
				}
				if err := l.Settle(t.Context(), viakvtest.Patience); err != nil {
					t.Error(err)
				}
			}, false},
		} {
			h, stood := underFault(t, l, endpoints, node, f)
			left := 0
			for i := range endpoints {
				if i != node {
					left += h.OpenSets(i)
				}
			}
			v := h.Check(t.Context(), viakvtest.Patience, nil)
			t.Logf("%s %-15s %6d operations, %d refused, %d reads failed, writes left open: %d, sets at the others %d", l.Name(node), f.name, v.Operations, v.Refused, v.Failed, v.Unknown, left)
			for _, bad := range v.Violations {
				t.Errorf("%s %s: key %s: %s", l.Name(node), f.name, bad.Key, bad.Reason)
				for _, line := range bad.History {
					t.Log(line)
				}
			}
			if v.Stale > 0 || v.Undecided > 0 || v.Legal == 0 {
				t.Errorf("%s %s: %d stale answers, %d keys undecided, %d legal: %v", l.Name(node), f.name, v.Stale, v.Undecided, v.Legal, v.StaleReads)
			}
			switch {
			case !f.lasting || left == 0:
			case stood > 10*time.Millisecond: // a node that stands still loses its leases, too
				t.Logf("%s %s: %d sets were left open on a machine that stood still for %v", l.Name(node), f.name, left, stood)
			default:
				t.Errorf("%s %s: %d sets were left open at the other nodes", l.Name(node), f.name, left)
			}
			if t.Failed() {
				return
			}
		}
	}
}

// underFault records what clients see of a fault, shortly before it, in it, and shortly after it.
// stood is the longest time for which the test itself did not run meanwhile.
func underFault(t *testing.T, l *chaos.Lab, endpoints []*client.Client, node int, f hotFault) (h *check.History, stood time.Duration) {
	const shortly = 300 * time.Millisecond
	recording, stop := context.WithCancel(t.Context())
	defer stop()
	var over sync.WaitGroup
	over.Go(func() {
		for last := time.Now(); sleep.For(recording, time.Millisecond); last = time.Now() {
			stood = max(stood, time.Since(last)-time.Millisecond)
		}
	})
	over.Go(func() {
		h = check.Record(recording, check.Config{
			Endpoints: endpoints, Clients: 9, ActiveKeys: 2, OpsPerKey: 5_000, Duration: viakvtest.Patience, Hot: true, Seed: uint64(node),
			Prefix: fmt.Sprintf("hot-%d-%s-", node, f.name),
		})
	})
	time.Sleep(shortly)
	f.make(t, l, node)
	time.Sleep(shortly)
	stop()
	over.Wait()
	return h, stood
}

package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"viakv/api/kv"
)

// After faults of any kind, one at a time, all members hold the same records within seconds.
// Acknowledged writes are there: a set key has its last value, and a removed key is missing.
func TestMembersAreEqualAgainAfterFaults(t *testing.T) {
	for seed := range uint64(seeds()) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inMesh(t, 3, func(m *mesh) {
				r := rand.New(rand.NewPCG(seed, 11))
				w := &writer{m: m, random: r, last: map[string]string{}, open: map[string]bool{}}
				for range 6 {
					w.write(40, 0, 1, 2)
					f := faults[r.IntN(len(faults))]
					victim := r.IntN(3)
					f.begin(m, victim)
					others := []int{(victim + 1) % 3, (victim + 2) % 3}
					w.write(40, others...)
					time.Sleep(time.Duration(r.IntN(8)) * time.Second)
					w.write(20, others...)
					w.scan(others[0])
					f.end(m, victim)
					m.until(30*time.Second, f.name+" is over", func() bool { return m.ready(0)() && m.ready(1)() && m.ready(2)() })
					m.until(10*time.Second, "all are equal after: "+f.name, m.equal(0, 1, 2))
					w.check()
				}
				m.until(60*time.Second, "the tombstones are gone", func() bool { return m.nodes[0].Status().Tombstones == 0 })
				w.check()
				if m.nodes[1].Status().Purge == 0 {
					t.Error("nothing was purged, so the run did not test purges")
				}
			})
		})
	}
}

// seeds returns how many runs there are: the value of VIAKV_TEST_SEEDS, or 4.
func seeds() int {
	if n, err := strconv.Atoi(os.Getenv("VIAKV_TEST_SEEDS")); err == nil {
		return n
	}
	return 4
}

// fault is something that happens to one node.
type fault struct {
	name       string
	begin, end func(m *mesh, i int)
}

var faults = []fault{
	{"a cut", func(m *mesh, i int) { m.isolate(i, true) }, func(m *mesh, i int) { m.isolate(i, false) }},
	{"a one-way cut", func(m *mesh, i int) {
		m.net.Cut(m.address((i+1)%3), m.address(i))
	}, func(m *mesh, i int) {
		m.net.Heal(m.address((i+1)%3), m.address(i))
	}},
	{"a pause", func(m *mesh, i int) { m.net.Pause(m.address(i)) }, func(m *mesh, i int) { m.net.Resume(m.address(i)) }},
	{"a crash", func(m *mesh, i int) { m.kill(i) }, func(m *mesh, i int) { m.start(i, m.seeds(3)) }},
	{"a crash in mid-rebuild", func(m *mesh, i int) {
		m.kill(i)
		m.start(i, m.seeds(3))
		time.Sleep(150 * time.Millisecond)
		m.kill(i)
	}, func(m *mesh, i int) { m.start(i, m.seeds(3)) }},
}

// writer writes keys one after another and remembers which values must be there.
type writer struct {
	m      *mesh
	random *rand.Rand
	last   map[string]string // the last value by key; empty: removed
	open   map[string]bool   // keys with a write of unknown outcome: it may take effect at any later time
	n      int
}

// write sets or removes n random keys at random ones of the given nodes, and notes the outcomes.
func (w *writer) write(n int, nodes ...int) {
	for range n {
		w.n++
		k, at := key(w.random.IntN(150)), nodes[w.random.IntN(len(nodes))]
		o := kv.Options{Deadline: time.Now().Add(500 * time.Millisecond)}
		value := ""
		var err error
		if w.random.IntN(3) == 0 {
			if err = w.m.nodes[at].Remove(context.Background(), []byte(k), o); errors.Is(err, kv.ErrMissing) {
				err = nil
			}
		} else {
			value = fmt.Sprint("value ", w.n)
			_, err = w.m.nodes[at].Set(context.Background(), []byte(k), []byte(value), o)
		}
		switch {
		case err == nil:
			w.last[k] = value
		case endedWith(err, kv.None): // nothing has changed
		default:
			w.open[k] = true
		}
	}
}

// check scans one node, and reads every key of known value at every node.
func (w *writer) check() {
	w.m.t.Helper()
	w.scan(w.random.IntN(3))
	for k, value := range w.last {
		if w.open[k] {
			continue
		}
		for i := range 3 {
			if value == "" {
				w.m.missing(i, k)
			} else {
				w.m.wants(i, k, value)
			}
		}
	}
}

// scan reads everything at one node. Each key must come once, and each key of known value must have
// that value.
func (w *writer) scan(at int) {
	w.m.t.Helper()
	sc, err := w.m.nodes[at].Scan(context.Background(), kv.ScanOptions{Values: true})
	if err != nil {
		w.m.t.Errorf("scan at %d: %v", at, err)
		return
	}
	defer sc.Close()
	got := map[string]string{}
	var b kv.Batch
	for {
		ok, err := sc.Next(context.Background(), &b)
		if err != nil {
			w.m.t.Errorf("scan at %d after %d keys: %v", at, len(got), err)
			return
		}
		if !ok {
			break
		}
		for _, p := range b.Pairs {
			if _, twice := got[string(p.Key)]; twice {
				w.m.t.Errorf("scan at %d: %s came twice", at, p.Key)
			}
			got[string(p.Key)] = string(p.Value)
		}
	}
	for k, value := range w.last {
		if v, there := got[k]; !w.open[k] && (v != value || there != (value != "")) {
			w.m.t.Errorf("scan at %d: %s is %q, want %q", at, k, v, value)
		}
	}
}

package topology

import (
	"strings"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
)

func TestTheFounderDecidesHowReadsAreAnswered(t *testing.T) {
	if top := founded(t, "a"); top.Reads != kv.ReadsLease || top.Lease != kv.DefaultLease || top.Cleared != 0 {
		t.Errorf("by default: reads by %q, a lease of %v, cleared at %d", top.Reads, top.Lease, top.Cleared)
	}
	top, err := firstTopology(Topology{Cluster: 7, Reads: kv.ReadsQuorum, Lease: kv.MaxLease}, identities("a", "b"))
	if err != nil || top.Reads != kv.ReadsQuorum || top.Lease != kv.MaxLease {
		t.Errorf("as decided: %+v, %v", top, err)
	}
	for want, decided := range map[string]Topology{
		`reads by "both"`:    {Cluster: 7, Reads: "both"},
		"a lease of 9ms":     {Cluster: 7, Lease: 9 * time.Millisecond},
		"a lease of 10.001s": {Cluster: 7, Lease: 10001 * time.Millisecond},
		"a lease of -1ns":    {Cluster: 7, Lease: -1},
	} {
		if _, err := firstTopology(decided, identities("a")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A document of a version without leases says nothing of them. It is refused, like every document
// whose settings cannot be.
func TestADocumentWithoutLeasesIsRefused(t *testing.T) {
	cleared := step(t, founded(t, "a", "b", "c"), command{Kind: Clear})
	if _, err := Decode(cleared.encode()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Topology){
		"no mode":                  func(d *Topology) { d.Reads = "" },
		"no lease":                 func(d *Topology) { d.Lease = 0 },
		"cleared in the future":    func(d *Topology) { d.Cleared = d.Epoch + 1 },
		"cleared at no epoch":      func(d *Topology) { d.Cleared = 0 },
		"cleared without a number": func(d *Topology) { d.Generation = 0 },
	} {
		d := *cleared
		spoil(&d)
		if _, err := Decode(d.encode()); err == nil {
			t.Errorf("%s: the document was decoded", name)
		}
	}
}

func TestApplySetReads(t *testing.T) {
	g := grown(t) // a change of size that is not settled does not stand in the way
	q := step(t, g, command{Kind: SetReads, Reads: kv.ReadsQuorum})
	if q.Reads != kv.ReadsQuorum || q.Lease != g.Lease || q.Epoch != g.Epoch+1 || q.Change == nil || g.Reads != kv.ReadsLease {
		t.Errorf("reads by %s, a lease of %v, epoch %d, after epoch %d", q.Reads, q.Lease, q.Epoch, g.Epoch)
	}
	for _, reads := range []kv.Reads{kv.ReadsQuorum, "", "both"} {
		if next, err := try(q, command{Kind: SetReads, Reads: reads}); err == nil {
			t.Errorf("to %q: epoch %d", reads, next.Epoch)
		}
	}
	if l := step(t, q, command{Kind: SetReads, Reads: kv.ReadsLease}); l.Reads != kv.ReadsLease {
		t.Errorf("back: reads by %s", l.Reads)
	}
}

// A fork goes on as its cluster did.
func TestAForkKeepsTheSettings(t *testing.T) {
	top := step(t, founded(t, "a", "b", "c"), command{Kind: Clear})
	top = step(t, top, command{Kind: SetReads, Reads: kv.ReadsQuorum})
	f, err := fork(top, 8, "a", "b", OperationID{1, 1})
	if err != nil {
		t.Fatal(err)
	}
	if f.Reads != kv.ReadsQuorum || f.Lease != top.Lease || f.Cleared != top.Epoch-1 || f.Generation != 1 {
		t.Errorf("reads by %s, a lease of %v, cleared at %d of %d", f.Reads, f.Lease, f.Cleared, top.Epoch)
	}
}

func TestDecideReads(t *testing.T) {
	trio := founded(t, "a", "b", "c")
	to := func(reads kv.Reads) *ask {
		a := asking(toSetReads, "")
		a.Reads = reads
		return a
	}
	if mv := decide(sceneOf(trio, to(kv.ReadsQuorum))); mv.command == nil || mv.command.Kind != SetReads || mv.command.Reads != kv.ReadsQuorum {
		t.Errorf("another way: %+v", mv)
	}
	if mv := decide(sceneOf(grown(t), to(kv.ReadsQuorum))); mv.command == nil {
		t.Errorf("while a change of size is not settled: %+v", mv)
	}
	if mv := decide(sceneOf(trio, to(kv.ReadsLease))); mv.command != nil || mv.answer == nil || mv.answer.Code != codeOK || mv.answer.Epoch != trio.Epoch {
		t.Errorf("the way that it is: %+v", mv)
	}
	// Agreed: the answer waits until nobody reads at the epoch before.
	next := step(t, trio, command{Kind: SetReads, Reads: kv.ReadsQuorum})
	done := to(kv.ReadsQuorum)
	done.ID = next.Applied[len(next.Applied)-1].ID
	s := sceneOf(next, done)
	if mv := decide(s); mv.answer == nil || mv.answer.Epoch != next.Epoch {
		t.Errorf("sealed: %+v", mv)
	}
	s.reports.quiet = map[uint64]version.Epoch{1: next.Epoch}
	if mv := decide(s); mv.answer != nil || mv.command != nil {
		t.Errorf("not sealed: %+v", mv)
	}
	r := request{Purpose: toSetReads, Reads: "both"}
	if err := r.validate(); err == nil {
		t.Error("a request for a way that nobody knows is valid")
	}
}

// Every member can be asked. Asked again, or by two members at once, the cluster makes one epoch.
func TestReadsAreSetOnce(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		before := w.agree(10*time.Second, a, b, c)
		epochs := make(chan version.Epoch, 3)
		for _, p := range []*process{a, b, c} {
			go func() {
				e, err := p.m.SetReads(w.ctx(10*time.Second), kv.ReadsQuorum)
				if err != nil {
					t.Error(err)
				}
				if got := p.m.current(); got.Epoch < e || got.Reads != kv.ReadsQuorum {
					t.Errorf("answered, and %s is at epoch %d with reads by %s", p.id.Name, got.Epoch, got.Reads)
				}
				epochs <- e
			}()
		}
		for range 3 {
			if e := <-epochs; e != before.Epoch+1 {
				t.Errorf("epoch %d after %d", e, before.Epoch)
			}
		}
		if top := w.agree(10*time.Second, a, b, c); top.Reads != kv.ReadsQuorum || top.Epoch != before.Epoch+1 {
			t.Errorf("reads by %s at epoch %d after %d", top.Reads, top.Epoch, before.Epoch)
		}
	})
}

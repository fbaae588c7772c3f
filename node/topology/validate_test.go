package topology

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"viakv/api/kv"
	"viakv/quorum/version"
)

func TestValidateReportsEveryFault(t *testing.T) {
	bad := founded(t, "a", "b", "c")
	bad.Slots[0], bad.Slots[1] = bad.Slots[1], bad.Slots[0]
	bad.Slots[2].Incarnation = bad.Slots[1].Incarnation
	bad.Slots[2].BootID = bad.Slots[1].BootID
	bad.Slots[1].Pending = 9
	bad.Slots[0].Peer = ""
	bad.Cluster = 0
	bad.Joining = &Candidate{Identity: Identity{Name: "c", Peer: "x"}}
	err := bad.validate()
	for _, want := range []string{"no cluster", "out of order", "one boot ID", "active and rebuilding", "peer address", "joins and has a slot", "no boot ID", "incarnation 0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if _, err := Decode(bad.encode()); err == nil {
		t.Error("an invalid document was decoded")
	}
	if _, err := Decode([]byte("{")); err == nil {
		t.Error("half a document was decoded")
	}
	var many []string
	for i := range MaxSlots + 1 {
		many = append(many, fmt.Sprintf("n%03d", i))
	}
	if _, err := firstTopology(Topology{Cluster: 1}, identities(many...)); err == nil {
		t.Errorf("%d slots", len(many))
	}
	if _, err := firstTopology(Topology{Cluster: 1}, nil); err == nil {
		t.Error("founded by nobody")
	}
}

// The invariants hold after any commands in any order, whether these are accepted or refused.
func TestApplyProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		top := founded(t, strings.Fields("a b c d e")[:rapid.IntRange(1, 5).Draw(rt, "n")]...)
		index, boot := top.LogIndex, uint64(100)
		incarnations := map[version.Incarnation]bool{}
		for i := range top.Slots {
			incarnations[top.Slots[i].Incarnation] = true
		}
		bases := []*Topology{top}
		name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"})
		var last *command
		for i := range rapid.IntRange(1, 40).Draw(rt, "steps") {
			index++
			boot++
			// Draw a command, with the incarnation and often the barriers that it needs.
			c := command{
				ID: OperationID{1, uint64(i + 1)}, Expect: top.Epoch,
				Kind: rapid.SampledFrom([]Kind{Vacate, Activate, Admit, Abandon, Grow, Shrink, Settle, Clear, Purge, SetReads}).Draw(rt, "kind"),
				Name: name.Draw(rt, "name"), Force: rapid.IntRange(0, 9).Draw(rt, "force") == 0,
			}
			at := rapid.SampledFrom(bases).Draw(rt, "at")
			c.At = at.basis()
			switch c.Kind {
			case SetReads:
				c.Reads = rapid.SampledFrom([]kv.Reads{kv.ReadsLease, kv.ReadsQuorum, ""}).Draw(rt, "reads")
			case Vacate, Admit:
				c.Node = identity(c.Name, boot)
			case Activate:
				if s := top.slot(c.Name); s != nil {
					c.Incarnation = s.Pending
				}
			case Grow, Abandon:
				if top.Joining != nil {
					c.Name, c.Incarnation = top.Joining.Name, top.Joining.Pending
				}
			case Settle, Shrink:
				if top.Change != nil && rapid.Bool().Draw(rt, "done") {
					for _, n := range top.Change.Owe {
						if s := top.slot(n); s != nil {
							c.Barriers = append(c.Barriers, fact{n, s.Incarnation})
						}
					}
				}
			}
			if rapid.IntRange(0, 9).Draw(rt, "stale") == 0 {
				c.Expect--
			}
			// Apply it, and check that the old topology is unchanged and that the last command,
			// repeated, does nothing.
			before := string(top.encode())
			next, err := apply(top, index, &c)
			if string(top.encode()) != before {
				rt.Fatalf("%s changed its argument", c.Kind) // E1
			}
			if err != nil {
				continue
			}
			if last != nil {
				if again, err := apply(next, index+1, last); err != nil || again != next && next.Epoch-firstEpoch < remembered {
					rt.Fatalf("%s again: %v", last.Kind, err) // E5
				}
			}
			check(rt, top, next, &c, at, incarnations)
			last, top = &c, next
			bases = append(bases, top)
		}
	})
}

// check fails the test unless the command c was right to turn top into next. The copies that c
// refers to were made at the topology at.
func check(t *rapid.T, top, next *Topology, c *command, at *Topology, incarnations map[version.Incarnation]bool) {
	if c.Expect != top.Epoch || next.Epoch != top.Epoch+1 || next.Prev.Epoch != top.Epoch {
		t.Fatalf("%s: epoch %d became %d", c.Kind, top.Epoch, next.Epoch)
	}
	if err := next.validate(); err != nil {
		t.Fatal(err)
	}
	if need := top.N() - min(top.R(), top.W()) + 1; next.Prev.Need != need && !c.Force {
		t.Fatalf("sealing needs %d of %d", next.Prev.Need, top.N())
	}
	sizes := map[Kind]int{Grow: 1, Shrink: -1}
	if next.N() != top.N()+sizes[c.Kind] {
		t.Fatalf("%s: N %d became %d", c.Kind, top.N(), next.N()) // M1
	}
	if c.Kind == Grow && top.Change != nil || c.Kind == Shrink && !c.Force && !top.barriersDone(c.Barriers, c.Name) {
		t.Fatal("two size changes at a time") // M6
	}
	if (c.Kind == Vacate || c.Kind == Admit) && incarnations[version.Incarnation(next.LogIndex)] {
		t.Fatalf("incarnation %d again", next.LogIndex) // E3
	}
	incarnations[version.Incarnation(next.LogIndex)] = true
	if c.Kind == Activate || c.Kind == Grow {
		if at.Generation != next.Generation || at.Purge != next.Purge {
			t.Fatalf("%s across a clear or purge", c.Kind) // M2
		}
		for i := range next.Slots {
			if s := &next.Slots[i]; s.Name != c.Name && s.Since > at.Epoch {
				t.Fatalf("%s although %s was vacated at %d, after %d", c.Kind, s.Name, s.Since, at.Epoch)
			}
		}
	}
	if c.Kind == Purge && (top.vacancies() > 0 || top.Change != nil) {
		t.Fatal("purge while vacant or unsettled") // G3, M6
	}
	if next.Generation != top.Generation && (c.Kind != Clear || top.Change != nil) {
		t.Fatalf("%s moved the generation", c.Kind)
	}
	if cleared := next.Cleared == next.Epoch; cleared != (c.Kind == Clear) || !cleared && next.Cleared != top.Cleared {
		t.Fatalf("%s: cleared at %d, before at %d", c.Kind, next.Cleared, top.Cleared)
	}
	if (next.Reads != top.Reads) != (c.Kind == SetReads) || next.Lease != top.Lease {
		t.Fatalf("%s: reads by %s for %v, before by %s for %v", c.Kind, next.Reads, next.Lease, top.Reads, top.Lease)
	}
	if n := len(next.Applied); n > remembered || next.Applied[n-1].Epoch != next.Epoch {
		t.Fatalf("%d operations remembered", n)
	}
}

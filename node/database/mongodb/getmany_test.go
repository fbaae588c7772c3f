package mongodb

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"viakv/api/kv"
	"viakv/node/database/dbtest"
)

// readsOf returns a batch of gets of the keys k0, k1 and so on.
func readsOf(n int) []kv.Read {
	reads := make([]kv.Read, n)
	for i := range reads {
		reads[i].Key = fmt.Appendf(nil, "k%d", i)
	}
	return reads
}

// TestManyGets: a batch of many gets goes out in several commands, each of which has one answer and
// an error of its own. A command whose answer was lost is sent again (N7).
func TestManyGets(t *testing.T) {
	const keys = 2*maxFinds + 1
	refused := fault{code: unauthorized, name: "Unauthorized"}
	for _, c := range []struct {
		name   string
		faults []fault // of the first commands
		failed int     // the command that fails; 0: none
		named  []int   // the keys of the commands that were obeyed
	}{
		{"no fault", nil, 0, []int{maxFinds, maxFinds, 1}},
		{"a command refused", []fault{{}, refused}, 2, []int{maxFinds, 1}},
		{"a lost answer", []fault{{lose: true}}, 0, []int{maxFinds, maxFinds, maxFinds, 1}},
		{"no primary for a moment", []fault{{code: notWritablePrimary, name: "NotWritablePrimary"}}, 0, []int{maxFinds, maxFinds, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newStandIn(t)
			s := openOn(t, r.url())
			writes := batchOf(keys)
			s.SetMany(bg, writes[:keys-1], patient()) // the last key is missing
			r.next("find", c.faults...)
			reads := readsOf(keys)
			if out := s.GetMany(bg, []byte("before:"), reads, patient()); string(out[:7]) != "before:" {
				t.Errorf("dst became %.100q", out)
			}
			for i, get := range reads {
				switch {
				case c.failed == 1+i/maxFinds:
					if get.Value != nil || dbtest.OutcomeOf(t, get.Err) != kv.None {
						t.Fatalf("key %d of a command that failed: %q, %v", i, get.Value, get.Err)
					}
				case i == keys-1:
					if get.Value != nil || !errors.Is(get.Err, kv.ErrMissing) {
						t.Fatalf("the key that is missing: %q, %v", get.Value, get.Err)
					}
				case get.Err != nil || string(get.Value) != string(writes[i].Value):
					t.Fatalf("key %d: %q, %v", i, get.Value, get.Err)
				}
			}
			command, _ := r.last("find")
			if level := command.Lookup("readConcern", "level").StringValue(); level != "linearizable" {
				t.Errorf("many keys are read with %s", level)
			}
			if n := command.Lookup("limit").AsInt64(); n != 1 || command.Lookup("batchSize").AsInt64() < n {
				t.Errorf("one answer may not have all documents: %s", command)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if !slices.Equal(r.named, c.named) {
				t.Errorf("commands of %v keys, want %v", r.named, c.named)
			}
		})
	}
}

package mongodb

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/database/dbtest"
)

// batchOf returns a batch of the keys k0, k1 and so on, whose values are v0, v1 and so on.
func batchOf(n int) []kv.Write {
	writes := make([]kv.Write, n)
	for i := range writes {
		writes[i] = kv.Write{Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "v%d", i)}
	}
	return writes
}

// TestFateOfEachValue: each value of a batch has its own outcome. Only values that certainly were
// not stored, and may be stored at another try, are sent again.
func TestFateOfEachValue(t *testing.T) {
	labels := func(l ...string) []string { return l }
	for _, c := range []struct {
		name   string
		faults []fault // of the first commands
		always fault   // of all later ones
		want   string  // of each value: y(es), n(one) or u(nknown)
		sizes  []int   // of the commands; nil: any
		reason string
	}{
		{name: "no fault", want: "yyyy", sizes: []int{4}},
		{name: "a value refused", faults: []fault{{code: 121, name: "DocumentValidationFailure", updates: []int{1}}},
			want: "ynyy", sizes: []int{4}, reason: "refused"},
		{name: "a value with a cause not known", faults: []fault{{code: internalError, name: "InternalError", updates: []int{0, 3}}},
			want: "uyyu", sizes: []int{4}},
		{name: "a shard that lost its primary", faults: []fault{{code: notWritablePrimary, name: "NotWritablePrimary", updates: []int{2}}},
			want: "yyuy", sizes: []int{4}},
		{name: "other upserts", faults: []fault{{code: duplicateKey, name: "DuplicateKey", updates: []int{0, 2}}, {code: writeConflict, name: "WriteConflict", updates: []int{1}}},
			want: "yyyy", sizes: []int{4, 2, 1}},
		{name: "other upserts, and then a refusal", faults: []fault{{code: duplicateKey, name: "DuplicateKey", updates: []int{1, 2}}, {code: 121, updates: []int{1}}},
			want: "yyny", sizes: []int{4, 2}},
		{name: "other upserts each time", always: fault{code: duplicateKey, name: "DuplicateKey", updates: []int{0}},
			want: "nyyy", reason: "other writers"},
		{name: "no majority", faults: []fault{{code: writeConcernFailed, name: "waiting for replication timed out", concern: true}},
			want: "uuuu", sizes: []int{4}, reason: "majority"},
		{name: "no majority, and a value refused", faults: []fault{{code: 121, name: "DocumentValidationFailure", concern: true, updates: []int{1}}},
			want: "unuu", sizes: []int{4}},
		{name: "no right", faults: []fault{{code: unauthorized, name: "Unauthorized"}}, want: "nnnn", sizes: []int{4}, reason: "lost its rights"},
		{name: "a new primary", faults: []fault{{code: notWritablePrimary, name: "NotWritablePrimary", labels: labels("RetryableWriteError")}},
			want: "yyyy", sizes: []int{4, 4}},
		{name: "the command ends as a whole", faults: []fault{{code: notWritablePrimary, name: "NotWritablePrimary"}},
			want: "uuuu", sizes: []int{4}, reason: "does not say which"},
		{name: "the command ends as a whole before the first value", faults: []fault{{code: notWritablePrimary, name: "NotWritablePrimary", labels: labels("NoWritesPerformed")}},
			want: "yyyy", sizes: []int{4, 4}},
		{name: "a lost answer", faults: []fault{{lose: true}}, want: "yyyy", sizes: []int{4, 4}},
		{name: "a lost answer, which named a value", faults: []fault{{code: duplicateKey, updates: []int{3}, lose: true}}, want: "yyyu", sizes: []int{4, 4}},
		{name: "all answers lost", always: fault{lose: true}, want: "uuuu"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // some of it is waiting
			r := newStandIn(t)
			s := openOn(t, r.url())
			_, before := r.last("update")
			r.next("update", c.faults...)
			r.from("update", c.always)
			o := patient()
			if c.sizes == nil {
				o.Deadline = time.Now().Add(2 * time.Second) // nothing ends the attempts before
			}
			writes := batchOf(4)
			s.SetMany(bg, writes, o)
			got := ""
			for i, w := range writes {
				switch {
				case w.Err == nil:
					got += "y"
					if v, _, err := s.Get(bg, nil, w.Key, patient()); err != nil || string(v) != string(w.Value) {
						t.Errorf("value %d has no error, and is %q, %v", i, v, err)
					}
				case dbtest.OutcomeOf(t, w.Err) == kv.None:
					got += "n"
					if _, err := s.Has(bg, w.Key, patient()); !errors.Is(err, kv.ErrMissing) {
						t.Errorf("value %d has outcome none, and is there: %v", i, err)
					}
				default:
					got += "u"
				}
				if w.Err != nil && !strings.Contains(w.Err.Error(), c.reason) {
					t.Errorf("value %d: %v, want it to say %q", i, w.Err, c.reason)
				}
			}
			if got != c.want {
				t.Errorf("outcomes %s, want %s", got, c.want)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if sizes := r.sizes[before:]; c.sizes != nil && !slices.Equal(sizes, c.sizes) {
				t.Errorf("commands of %v values, want %v", sizes, c.sizes)
			}
		})
	}
}

// TestALargeBatch: a batch of many values goes out in several commands.
func TestALargeBatch(t *testing.T) {
	r := newStandIn(t)
	s := openOn(t, r.url())
	_, before := r.last("update")
	writes := batchOf(2*maxUpserts + 1)
	s.SetMany(bg, writes, patient())
	for i, w := range writes {
		if w.Err != nil {
			t.Fatalf("value %d: %v", i, w.Err)
		}
	}
	if sizes, want := r.sizes[before:], []int{maxUpserts, maxUpserts, 1}; !slices.Equal(sizes, want) || len(r.items) != len(writes) {
		t.Errorf("commands of %v values, want %v; %d documents", sizes, want, len(r.items))
	}
}

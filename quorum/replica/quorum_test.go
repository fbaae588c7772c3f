package replica

import (
	"errors"
	"testing"

	"viakv/api/kv"
)

func TestQuorumsAsAsked(t *testing.T) {
	v := &View{Slots: 5, R: 2, W: 4}
	for asked, want := range map[kv.Quorum][2]int{
		kv.QuorumDefault: {2, 4}, kv.QuorumMajority: {3, 3}, kv.QuorumAll: {5, 5}, 1: {1, 1}, 5: {5, 5}, 6: {},
	} {
		r, err := v.ReadQuorum(asked)
		w, err2 := v.WriteQuorum(asked)
		var read, write *kv.ArgumentError
		switch {
		case want[0] == 0:
			if !errors.As(err, &read) || !errors.As(err2, &write) || read.Parameter != "r" || write.Parameter != "w" {
				t.Errorf("%v: %v, %v", asked, err, err2)
			}
		case r != want[0] || w != want[1] || err != nil || err2 != nil:
			t.Errorf("%v: %d %v, %d %v", asked, r, err, w, err2)
		}
	}
}

// views is a replica.Views of one view.
type views struct{ *View }

func (v views) Current() *View { return v.View }

func TestOnlyAnActiveMemberServes(t *testing.T) {
	active := &View{Members: []Member{{Incarnation: 7}}}
	for _, v := range []*View{nil, {Self: -1}, {Members: []Member{{Pending: 7}}}} {
		if got, err := Serving(views{v}); got != nil || !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("%+v: %v, %v", v, got, err)
		}
	}
	if got, err := Serving(views{active}); got != active || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

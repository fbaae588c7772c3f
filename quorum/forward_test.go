package quorum

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
)

// owned makes a mesh of three. It returns a key, the key's owner, and another node.
func owned(t *testing.T) (from *node, owner int, key []byte) {
	m := newMesh(t, 3)
	key = []byte("k")
	v := m.nodes[0].Current()
	owner = v.Ring.Owner(v.Seed.Hash(key).Partition())
	from = m.nodes[(owner+1)%3]
	from.mustSet("k", "v")
	return from, owner, key
}

// A remove waits only for a part of its deadline for an owner that has stopped.
func TestRemoveGivesUpOnASilentOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, owner, key := owned(t)
		from.silence(owner)
		began := time.Now()
		err := from.Remove(bg, key, kv.Options{})
		wantOutcome(t, err, kv.Unknown)
		if !errors.Is(err, errSilent) {
			t.Errorf("got %v", err)
		}
		if took, timeout := time.Since(began), from.cfg.Timeout; took > timeout/3 {
			t.Errorf("took %v of %v", took, timeout)
		}
		time.Sleep(time.Second) // in the bubble's time: the last call of the set ends
	})
}

// An owner that answers other requests is there. It may be short of processor time, and have
// answered neither this remove nor the second question.
func TestRemoveWaitsForAnOwnerThatAnswersOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, owner, key := owned(t)
		from.busy.Store(true)
		var remove *Call
		from.filter = func(c *Call) bool {
			if c.Member == owner {
				from.swallow(c)
			}
			if c.Kind == Remove {
				remove = c
			}
			return c.Member == owner
		}
		late := from.cfg.Timeout * 9 / 10
		v := from.Current()
		time.AfterFunc(late, func() { from.release(v, remove) })
		if err := from.Remove(bg, key, kv.Options{}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
	})
}

// A remove ends by its deadline, whatever the owner answers to other requests meanwhile (Q2).
func TestRemoveAtASilentOwnerEndsByItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, owner, key := owned(t)
		from.busy.Store(true)
		from.silence(owner)
		began := time.Now()
		wantOutcome(t, from.Remove(bg, key, kv.Options{}), kv.Unknown)
		if took, timeout := time.Since(began), from.cfg.Timeout; took != timeout {
			t.Errorf("took %v of %v", took, timeout)
		}
		time.Sleep(time.Second)
	})
}

// A call that has not ended belongs to its carrier. The carrier may be writing the reply while the
// request gives the call up. The race detector finds it if the request touches the call.
func TestRemoveLeavesAnOpenCallToItsCarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, owner, key := owned(t)
		ended := make(chan struct{})
		from.filter = func(c *Call) bool {
			switch {
			case c.Member != owner:
				return false
			case c.Kind == ReadTag:
				from.swallow(c)
			case c.Kind == Remove:
				time.AfterFunc(from.cfg.Timeout, func() {
					c.Status, c.NotSent, c.Err = Failed, true, errors.New("the peer does not reach this epoch")
					c.End()
					close(ended)
				})
			}
			return true
		}
		wantOutcome(t, from.Remove(bg, key, kv.Options{}), kv.Unknown)
		<-ended
	})
}

// A remove waits for an owner that is there, up to its deadline.
func TestRemoveWaitsForABusyOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, owner, key := owned(t)
		late := from.cfg.Timeout * 9 / 10
		lookups := 0
		from.filter = func(c *Call) bool {
			if c.Member != owner {
				return false
			}
			if c.Kind == ReadTag {
				lookups++
			}
			if c.Kind == Remove {
				v := from.Current()
				from.deliverAfter(late, v, c)
			}
			return c.Kind == Remove
		}
		began := time.Now()
		if err := from.Remove(bg, key, kv.Options{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < late || lookups == 0 {
			t.Errorf("took %v, with %d lookups meanwhile", took, lookups)
		}
		time.Sleep(time.Second)
	})
}

// A remove runs at this node when the owner has an answer overdue.
func TestRemoveIsNotSentToAnOwnerThatOwesAnAnswer(t *testing.T) {
	from, owner, key := owned(t)
	from.owes[owner].Store(true)
	if err := from.Remove(bg, key, kv.Options{}); err != nil {
		t.Fatal(err)
	}
	if s := from.Stats(); s.Forwarded != 0 || s.Removes != 1 {
		t.Errorf("forwarded %d, ran %d", s.Forwarded, s.Removes)
	}
}

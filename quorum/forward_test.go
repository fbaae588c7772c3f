package quorum

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
)

// owned makes a mesh of three with a key that another node than the returned one owns.
func owned(t *testing.T) (from *node, owner int, key []byte) {
	m := newMesh(t, 3)
	key = []byte("k")
	v := m.nodes[0].Current()
	owner = v.Ring.Owner(v.Seed.Hash(key).Partition())
	from = m.nodes[(owner+1)%3]
	from.mustSet("k", "v")
	return from, owner, key
}

// An owner that has stopped holds a remove up for a part of its deadline, not for all of it.
func TestRemoveGivesUpOnASilentOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, owner, key := owned(t)
		from.filter = func(c *Call) bool {
			if c.Member == owner {
				from.swallow(c)
			}
			return c.Member == owner
		}
		began := time.Now()
		err := from.Remove(bg, key, kv.Options{})
		wantOutcome(t, err, kv.Unknown)
		if !errors.Is(err, errSilent) {
			t.Errorf("got %v", err)
		}
		if took, timeout := time.Since(began), from.cfg.Timeout; took > timeout/3 {
			t.Errorf("took %v of %v", took, timeout)
		}
		time.Sleep(time.Second) // of the bubble: the set's last call ends
	})
}

// An owner that answers others is there, although it has yet to answer this remove and, short of
// processor time, a second question, too.
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

// Whatever the owner says to others meanwhile, a remove ends by its deadline (Q2).
func TestRemoveAtASilentOwnerEndsByItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, owner, key := owned(t)
		from.busy.Store(true)
		from.filter = func(c *Call) bool {
			if c.Member == owner {
				from.swallow(c)
			}
			return c.Member == owner
		}
		began := time.Now()
		wantOutcome(t, from.Remove(bg, key, kv.Options{}), kv.Unknown)
		if took, timeout := time.Since(began), from.cfg.Timeout; took != timeout {
			t.Errorf("took %v of %v", took, timeout)
		}
		time.Sleep(time.Second)
	})
}

// A call that has not ended belongs to its carrier, which may be writing its reply while the
// request gives it up: the race detector looks.
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

// An owner that is there is waited for, however long it takes.
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
				time.AfterFunc(late, func() { from.deliver(v, c) })
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

// A remove whose owner owes an answer runs here.
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

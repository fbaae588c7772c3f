package handoff

import (
	"errors"
	"slices"
	"sync"

	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// List is what one purge removes.
type List struct {
	ID         uint64
	At         version.Epoch // the epoch at which the members say that they hold the list
	Tombstones []replica.Tombstone
}

// keptLists bounds the lists of one epoch. One node proposes at a time, and only its last list can
// still be agreed on. But messages may arrive late or twice.
const keptLists = 3

// lists are the purge lists that this node has agreed to at the present epoch, oldest first.
type lists struct {
	mu   sync.Mutex
	kept []*List
}

// keep notes a list. If the lists are full, it replaces the oldest. Lists of former epochs are
// dropped, since they can never be purged any more.
func (l *lists) keep(list *List) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = slices.DeleteFunc(l.kept, func(k *List) bool { return k.At < list.At || k.ID == list.ID })
	if len(l.kept) == keptLists {
		l.kept = slices.Delete(l.kept, 0, 1)
	}
	l.kept = append(l.kept, list)
}

// take ends the epoch. It removes all lists and returns the one that is to be purged. It returns
// nil when that is not among them.
func (l *lists) take(id uint64) (list *List) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.kept {
		if k.ID == id {
			list = k
		}
	}
	l.kept = nil
	return list
}

// Hold answers a peer's question about a list. It returns true when this node holds exactly each of
// the list's tombstones at the list's epoch. It then keeps the list, for a purge that follows this
// epoch. The list and its memory pass to the driver.
func (d *Driver) Hold(list *List) (bool, error) {
	if len(list.Tombstones) > d.cfg.PurgeBatch || list.ID == 0 {
		return false, nil
	}
	v := d.cfg.Views.Current()
	if v.Epoch != list.At {
		return false, replica.ErrEpoch
	}
	mine, err := held(v, list.Tombstones)
	if err != nil || len(mine) < len(list.Tombstones) {
		return false, err
	}
	d.lists.keep(list)
	return true, nil
}

// held returns those of the tombstones that this node holds exactly, at the view's epoch. It reuses
// their slice.
func held(v *replica.View, all []replica.Tombstone) ([]replica.Tombstone, error) {
	var buffer []byte
	var failed error
	held := slices.DeleteFunc(all, func(t replica.Tombstone) bool {
		if failed != nil {
			return false
		}
		r, grown, err := v.Store.Get(v.Epoch, v.Seed.Hash(t.Key), t.Key, buffer[:0])
		buffer, failed = grown, err
		return err == nil && (r.Tag != t.Tag || !t.Tag.Removed)
	})
	return held, failed
}

// errNoList reports a purge that this node has not agreed to.
var errNoList = errors.New("handoff: the topology names a purge that this node has not agreed to")

// Agreed drops the lists of the epoch that ends, and returns the one that the next epoch purges. It
// is called after the store is fenced at the new epoch and before that epoch is published. id is
// zero when nothing is purged.
//
// errNoList cannot happen to an active incarnation (see purge.go). If it happened, the tombstones
// would stay. That is safe: they are newer than anything that they hide, repair gives them to the
// others, and a later purge takes them all.
func (d *Driver) Agreed(id uint64) (*List, error) {
	list := d.lists.take(id)
	if list == nil && id != 0 {
		return nil, errNoList
	}
	return list, nil
}

// Purged counts tombstones that the node removed.
func (d *Driver) Purged(n int) { d.stats.purged.Add(uint64(n)) }

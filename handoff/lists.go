package handoff

import (
	"errors"
	"slices"
	"sync"

	"viakv/quorum/version"
)

// keptLists bounds the lists of one epoch. One node proposes at a time; a second list appears when its proposer changed its mind.
const keptLists = 4

// lists are the purge lists that this node has said yes to at the present epoch.
type lists struct {
	mu   sync.Mutex
	kept map[uint64]*List
}

// keep notes a list. Those of other epochs can never be purged any more.
func (l *lists) keep(list *List) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, k := range l.kept {
		if k.At < list.At {
			delete(l.kept, id)
		}
	}
	if _, known := l.kept[list.ID]; !known && len(l.kept) >= keptLists {
		return false
	}
	l.kept[list.ID] = list
	return true
}

// take ends the epoch: it removes all lists and returns the one that is to be purged.
func (l *lists) take(id uint64) (*List, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list, ok := l.kept[id]
	clear(l.kept)
	return list, ok
}

// Hold answers a peer: true when this node holds exactly each of the list's tombstones at the list's epoch, and keeps the list for a purge that
// follows this epoch. It takes over the list and its memory.
func (d *Driver) Hold(list *List) (bool, error) {
	if len(list.Tombstones) > d.cfg.PurgeBatch || list.ID == 0 {
		return false, nil
	}
	held, err := d.held(list.At, list.Tombstones)
	if err != nil || len(held) < len(list.Tombstones) {
		return false, err
	}
	return d.lists.keep(list), nil
}

// held returns those of the tombstones that this node holds exactly. It reuses their slice.
func (d *Driver) held(at version.Epoch, all []Tombstone) ([]Tombstone, error) {
	seed := d.cfg.Views.Current().Seed
	var buffer []byte
	var failed error
	held := slices.DeleteFunc(all, func(t Tombstone) bool {
		if failed != nil {
			return false
		}
		r, grown, err := d.cfg.Store.Get(at, seed.Hash(t.Key), t.Key, buffer[:0])
		buffer, failed = grown, err
		return err == nil && (r.Tag != t.Tag || !t.Tag.Removed)
	})
	return held, failed
}

// ErrNoList reports a purge that this node has not agreed to.
var ErrNoList = errors.New("handoff: the topology names a purge that this node has not agreed to")

// Agreed ends the lists of the epoch that ends, and returns the one that its successor purges: called between the fence of the
// new epoch and its publication, with zero when nothing is purged.
//
// ErrNoList cannot happen to an active incarnation (see purge.go). Should it, the tombstones stay, which is safe: they are newer than anything that
// they hide, repair gives them to the others, and a later purge takes them all.
func (d *Driver) Agreed(id uint64) (*List, error) {
	list, ok := d.lists.take(id)
	switch {
	case id == 0:
		return nil, nil
	case !ok:
		return nil, ErrNoList
	}
	return list, nil
}

// Purged counts tombstones that the node removed.
func (d *Driver) Purged(n int) { d.stats.purged.Add(uint64(n)) }

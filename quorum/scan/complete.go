package scan

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// That replicas agree on a bucket shows that as many of them hold its records as a read asks. It
// does not show that the records are complete. A member that answers gets from its own copy may
// hold something older, and go on with it until it has the record, too, or its leases are over.
// Even a bucket that is the same in all slots may have such a record: a member that has left may
// still hold leases. A scan that delivered it could be newer than a later get.
//
// A record that is confirmed is complete (L6): each such member holds it, or something newer. A
// scan reads every other record through the coordinator, which completes it (L7).
//
// What a scan leaves out must be missing for later gets, too:
//
//   - A tombstone that is not complete is read like a value. The value that it removes may still be
//     there elsewhere.
//   - Where the replicas that agree hold nothing of a key, there is nothing complete of it: one of
//     them would have it. So a later get that finds a value finds a newer one. A purge does not
//     change that, since it takes away only tombstones that all members hold (G1).
//   - A clear does. Until it is sealed, a member that has not heard of it may still answer what was
//     before. So a scan that does not know of the seal reads one key, whichever. The coordinator
//     waits until what it has found, or that it has found nothing, is complete at this epoch. Then
//     no member can read any more what was before, neither alone nor with others. The epoch after a
//     clear begins only when the clear is sealed.
//
// A weak scan reads nothing for this: a get with the same r would answer from the same replicas.

// needsComplete reports whether the scan delivers only what is known to be complete.
func (x *scanner) needsComplete(v *replica.View) bool {
	_, weak, err := x.quorum(v)
	return err == nil && !weak && !rule.Broken(rule.ScanConfirmed)
}

// mustRead reports whether a record on which the replicas agree has to be read all the same.
func (x *scanner) mustRead(v *replica.View, rec *version.Record) bool {
	return !v.Confirmed(rec) && x.needsComplete(v)
}

// unfinished looks once more whether a bucket has a record that has to be read. Most of what was
// open when the bucket was copied is confirmed by now: each message brings a watermark.
func (x *scanner) unfinished(r *round, b *Bucket) bool {
	x.scans.cfg.Own.Unpack(b)
	for i := range b.Records {
		if c := &b.Records[i]; x.wants(r, b, c) && x.mustRead(r.view, &c.Record) {
			return true
		}
	}
	return false
}

// complete delivers a bucket on which the replicas agree. It reads what is not known to be
// complete. A snapshot scan delivers what it has compared or nothing: the bucket is compared again
// if a read finds something else.
func (x *scanner) complete(r *round, b *Bucket) error {
	x.scans.cfg.Own.Unpack(b)
	var list []found
	for i := range b.Records {
		if c := &b.Records[i]; x.wants(r, b, c) {
			list = append(list, found{Entry: c, read: x.mustRead(r.view, &c.Record)})
		}
	}
	return x.deliverFound(r, list)
}

// found is a record that a scan has found. A record that is to be read gives way to what the read
// answers.
type found struct {
	*replica.Entry
	read bool

	tag     version.Tag
	value   []byte
	missing bool
}

// deliverFound delivers records in order. It first reads those that are to be read.
func (x *scanner) deliverFound(r *round, list []found) error {
	if err := x.read(list); err != nil {
		return err
	}
	for i := range list {
		switch f := &list[i]; {
		case f.read && x.options.Snapshot && f.tag != f.Record.Tag:
			return errReplicasDiffer
		case f.read && !f.missing:
			x.add(r, kv.Pair{Key: f.Key, Value: f.value, Version: f.tag})
		case !f.read && f.Record.Live():
			x.addOwn(r, f.Entry)
		}
	}
	return nil
}

// readsAtOnce is how many keys a scan reads at once. A member that has died while it imported
// leaves many records behind that nobody confirms.
const readsAtOnce = 16

// read asks the coordinator for the keys that are to be read.
func (x *scanner) read(list []found) error {
	var (
		reading sync.WaitGroup
		room    = make(chan struct{}, readsAtOnce)
		failed  atomic.Pointer[error] // why the first read failed
	)
	for i := range list {
		f := &list[i]
		if !f.read {
			continue
		}
		room <- struct{}{}
		if failed.Load() != nil {
			break
		}
		reading.Go(func() {
			if err := x.readOne(f); err != nil {
				failed.CompareAndSwap(nil, &err)
			}
			<-room
		})
	}
	reading.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// readOne asks the coordinator for one key.
func (x *scanner) readOne(f *found) (err error) {
	x.scans.stats.read.Add(1)
	o := x.options.Options
	o.Deadline = time.Time{} // each read has the coordinator's default time-out
	f.value, f.tag, err = x.scans.cfg.Reader.Get(x.ctx, nil, f.Key, o)
	if f.missing = errors.Is(err, kv.ErrMissing); f.missing {
		return nil
	}
	return err
}

// passClear returns once no member can read any more what was before a clear.
func (x *scanner) passClear(v *replica.View) error {
	if v.ClearSealed() || !x.needsComplete(v) {
		return nil
	}
	_, _, err := x.scans.cfg.Reader.Get(x.ctx, nil, anyKey, kv.Options{R: x.options.R})
	if errors.Is(err, kv.ErrMissing) {
		return nil
	}
	return err
}

// anyKey is a key that the reader may look for. It need not be there.
var anyKey = []byte("any")

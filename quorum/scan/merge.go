package scan

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// merge delivers a bucket in which the replicas differ. It copies the range from the peers that
// were asked for its digest. It reads each key on which the copies differ through the coordinator,
// which repairs it (D4). Keys on which the copies agree are on enough replicas as they are.
//
// For a snapshot scan, merge delivers nothing and only repairs.
func (x *scanner) merge(r *round, own *Bucket) error {
	v, deliver := r.view, !x.options.Snapshot
	x.scans.stats.merged.Add(1)
	x.scans.cfg.Own.Unpack(own)
	copies := []*Bucket{own}
	for _, m := range x.peers {
		b := r.bucket()
		if err := x.copyOf(v, m, own.Range, b); err != nil {
			if !errors.Is(err, replica.ErrEpoch) {
				x.look.slow[m] = time.Now().Add(slowFor)
			}
			return err
		}
		copies = append(copies, b)
	}
	u := union{lists: copies, at: make([]int, len(copies))}
	for {
		c, agree, ok := u.next()
		switch {
		case !ok:
			return nil
		case agree:
			if deliver && c.Record.Live() && x.wants(r, own, c) {
				x.add(r, kv.Pair{Key: c.Key, Value: c.Record.Value, Version: c.Record.Tag})
			}
		case !deliver || x.wants(r, own, c):
			tag, value, err := x.read(r, c.Key)
			switch {
			case errors.Is(err, kv.ErrMissing):
			case err != nil:
				return err
			case deliver:
				x.add(r, kv.Pair{Key: c.Key, Value: value, Version: tag})
			}
		}
	}
}

// read asks the coordinator for one key. The value lies in the round's values.
func (x *scanner) read(r *round, key []byte) (tag version.Tag, value []byte, err error) {
	x.scans.stats.read.Add(1)
	o := x.options.Options
	o.Deadline = time.Time{} // each read has the coordinator's default time-out
	n := len(r.values)
	// When this append moves to a larger array, the values that were returned before stay where
	// they are.
	r.values, tag, err = x.scans.cfg.Reader.Get(x.ctx, r.values, key, o)
	return tag, r.values[n:len(r.values):len(r.values)], err
}

// copyOf sets b's Range and Records to all that a member holds in a range.
func (x *scanner) copyOf(v *replica.View, m int, r keyspace.Range, b *Bucket) error {
	ctx, cancel := context.WithTimeout(x.ctx, x.scans.cfg.Timeout)
	defer cancel()
	b.Range, b.Records = r, b.Records[:0]
	at := keyspace.Place{Rank: r.From}
	for {
		var page replica.Page // a new one each time, since the records borrow it
		rest := keyspace.Range{From: at.Rank, To: r.To}
		if err := x.scans.cfg.Peers.Copy(ctx, v, &v.Members[m], rest, at.Key, scanPage, &page); err != nil {
			return err
		}
		b.Records = append(b.Records, page.Entries...)
		switch {
		case page.Next.Ends(r):
			return nil
		case !page.Next.Beyond(at, r):
			return errNoProgress
		}
		at = page.Next
	}
}

// scanPage is how many bytes of another member's records a scan asks for at once.
const scanPage = 1 << 20

var errNoProgress = errors.New("scan: a page of a copy does not go on where the one before has ended")

// union walks, key by key, over the records of several copies of one range. Each copy ascends by
// rank and key.
type union struct {
	lists []*Bucket
	at    []int
}

// next returns the next key's record, from the first copy that has the key. agree reports whether
// all copies hold the same version of it.
func (u *union) next() (first *replica.Entry, agree, ok bool) {
	for i, l := range u.lists {
		if u.at[i] < len(l.Records) {
			if c := &l.Records[u.at[i]]; first == nil || before(c, first) {
				first = c
			}
		}
	}
	if first == nil {
		return nil, false, false
	}
	agree = true
	for i, l := range u.lists {
		if u.at[i] < len(l.Records) {
			if c := &l.Records[u.at[i]]; !before(first, c) {
				u.at[i]++
				agree = agree && c.Record.Tag == first.Record.Tag
				continue
			}
		}
		agree = false
	}
	return first, agree, true
}

func before(a, b *replica.Entry) bool {
	return cmp.Or(cmp.Compare(a.Rank, b.Rank), bytes.Compare(a.Key, b.Key)) < 0
}

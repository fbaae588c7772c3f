package scan

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"time"

	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// merge delivers a bucket in which the replicas differ. It copies the range from the peers that
// were asked for its digest. It reads each key on which the copies differ through the coordinator,
// which repairs it (D4). It delivers the keys on which the copies agree as complete does.
//
// For a snapshot scan, merge delivers nothing and only repairs.
func (x *scanner) merge(r *round, own *Bucket) error {
	v := r.view
	x.scans.stats.merged.Add(1)
	x.scans.cfg.Own.Unpack(own)
	copies := union{own.Records}
	for _, m := range x.peers {
		records, err := x.copyOf(v, m, own.Range)
		if err != nil {
			if !errors.Is(err, replica.ErrEpoch) {
				x.slow[m] = time.Now().Add(slowFor)
			}
			return err
		}
		copies = append(copies, records)
	}
	var list []found
	for {
		c, agree, ok := copies.next()
		switch {
		case !ok && x.options.Snapshot:
			return x.read(list)
		case !ok:
			return x.deliverFound(r, list)
		case x.options.Snapshot && !agree:
			list = append(list, found{Entry: c, read: true})
		case !x.options.Snapshot && x.wants(r, own, c):
			list = append(list, found{Entry: c, read: !agree || x.mustRead(v, &c.Record)})
		}
	}
}

// copyOf returns all records that a member holds in a range, ascending by rank and key.
func (x *scanner) copyOf(v *replica.View, m int, r keyspace.Range) (records []replica.Entry, err error) {
	ctx, cancel := context.WithTimeout(x.ctx, x.scans.cfg.Timeout)
	defer cancel()
	at := keyspace.Place{Rank: r.From}
	for {
		var page replica.Page // a new one each time, since the records borrow it
		rest := keyspace.Range{From: at.Rank, To: r.To}
		if err := x.scans.cfg.Peers.Copy(ctx, v, &v.Members[m], rest, at.Key, scanPage, &page); err != nil {
			return nil, err
		}
		records = append(records, page.Entries...)
		switch {
		case page.Next.Ends(r):
			return records, nil
		case !page.Next.Beyond(at, r):
			return nil, errNoProgress
		}
		at = page.Next
	}
}

// scanPage is how many bytes of another member's records a scan asks for at once.
const scanPage = 1 << 20

var errNoProgress = errors.New("scan: a page of a copy does not go on where the one before has ended")

// union is what several copies of one range still hold beyond the keys that were walked over. Each
// copy ascends by rank and key.
type union [][]replica.Entry

// next walks over the next key. It returns the key's record from the first copy that has the key.
// agree reports whether all copies hold the same version of it.
func (u union) next() (first *replica.Entry, agree, ok bool) {
	for _, rest := range u {
		if len(rest) > 0 && (first == nil || before(&rest[0], first)) {
			first = &rest[0]
		}
	}
	if first == nil {
		return nil, false, false
	}
	agree = true
	for i, rest := range u {
		if len(rest) == 0 || before(first, &rest[0]) {
			agree = false
			continue
		}
		agree = agree && rest[0].Record.Tag == first.Record.Tag
		u[i] = rest[1:]
	}
	return first, agree, true
}

func before(a, b *replica.Entry) bool {
	return cmp.Or(cmp.Compare(a.Rank, b.Rank), bytes.Compare(a.Key, b.Key)) < 0
}

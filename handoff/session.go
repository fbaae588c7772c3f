package handoff

import (
	"bytes"
	"context"
	"slices"
	"sort"
	"sync"

	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

const (
	pageBytes   = 256 << 10 // of a copy: one page is stored while the next is being sent
	sharedBytes = 2 << 20   // of a page that begins within a rank: it costs as much as the whole rank
	// sharedEntries is how many records of one shared rank are pushed at once. For each, the peer
	// searches the whole rank.
	sharedEntries = 64
	tagsPerPage   = 4096
	leavesAhead   = 8 // how many leaves are asked for their tags at once
)

// entryOverhead is about what an entry costs on the wire without key and value, in bytes.
const entryOverhead = 24

// wireSize is about what the entry costs on the wire, in bytes.
func wireSize(e *replica.Entry) int {
	return len(e.Key) + len(e.Record.Value) + len(e.Record.Vector) + entryOverhead
}

// tagSize is about what the version at one rank costs on the wire, in bytes.
const tagSize = 16

// digestSize is about what the comparison of one range costs on the wire, both ways, in bytes.
const digestSize = 32 + 16

// session is the exchange with one member at one epoch (H1).
type session struct {
	d        *Driver
	v        *replica.View
	with     *replica.Member
	push     bool // also give the member what is newer here
	pace     *pacer
	progress *progress
	weight   float64 // the weight of a copied range in the progress

	mu     sync.Mutex
	want   []keyspace.Rank // ranks to fetch
	toGive []replica.Entry // entries to give; they own their memory
	shared []keyspace.Rank // ranks to exchange whole, whatever differs there
	moved  int             // how many records were stored, here or at the member
}

// store merges entries of the member, which were read at this session's epoch. done is the part of
// the work that they complete.
func (s *session) store(ctx context.Context, entries []replica.Entry, done float64) error {
	size, changed := 0, 0
	for i := range entries {
		entry := &entries[i]
		size += wireSize(entry)
		s.v.Counter.Observe(entry.Record.Tag.Counter)
		ok, err := s.v.Store.Put(s.v.Epoch, s.v.Seed.Hash(entry.Key), entry.Key, &entry.Record)
		if err != nil {
			return err
		}
		if ok {
			changed++
		}
	}
	s.mu.Lock()
	s.moved += changed
	s.mu.Unlock()
	s.d.stats.received.Add(uint64(len(entries)))
	s.d.stats.bytes.Add(uint64(size))
	s.progress.add(done, len(entries), size)
	return s.pace.pay(ctx, size)
}

// compare finds by digests what differs in a range, and merges it.
func (s *session) compare(ctx context.Context, r keyspace.Range) error {
	down := newDescent(r)
	own := func(r keyspace.Range) (replica.Digest, error) { return s.v.Store.Digest(s.v.Epoch, r) }
	var ask []keyspace.Range
	var theirs []replica.Digest
	for {
		ask = down.ask(ask[:0], maxDigests)
		if len(ask) == 0 {
			return s.exchange(ctx, down.found)
		}
		var err error
		if theirs, err = s.d.cfg.Peers.Digests(ctx, s.v, s.with, ask, theirs[:0]); err != nil {
			return err
		}
		if len(theirs) != len(ask) {
			return errNonsense
		}
		s.count(len(ask) * digestSize)
		for i := range ask {
			if err := down.answer(i, theirs[i], own); err != nil {
				return err
			}
		}
		if len(down.found) >= maxDigests {
			if err := s.exchange(ctx, down.found); err != nil {
				return err
			}
			down.found = down.found[:0]
		}
	}
}

// count notes bytes on the wire that belong to no record.
func (s *session) count(size int) {
	s.d.stats.bytes.Add(uint64(size))
	s.progress.add(0, 0, size)
}

// exchange merges ranges that differ, several at once, because each costs a round trip and they are
// small.
func (s *session) exchange(ctx context.Context, leaves []keyspace.Range) error {
	if len(leaves) == 0 {
		return nil
	}
	s.d.stats.divergent.Add(uint64(len(leaves)))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan keyspace.Range)
	var workers sync.WaitGroup
	for range min(leavesAhead, len(leaves)) {
		workers.Go(func() {
			for r := range work {
				if err := s.leaf(ctx, r); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
feed:
	for _, r := range leaves {
		select {
		case work <- r:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return s.settle(ctx, 1)
}

// leaf compares tags in one range. It gathers what differs, and moves that in batches of several
// leaves.
func (s *session) leaf(ctx context.Context, r keyspace.Range) error {
	page := s.d.page()
	defer s.d.pages.Put(page)
	var theirs []replica.TagAt
	for rest, more := r, true; more; {
		tags, next, err := s.d.cfg.Peers.Tags(ctx, s.v, s.with, rest, tagsPerPage, theirs[:0])
		if err != nil {
			return err
		}
		theirs = tags
		s.count(len(theirs) * tagSize)
		part := keyspace.Range{From: rest.From, To: next}
		if more = next != rest.To; more && (!rest.Contains(next) || next == rest.From) {
			return errNonsense
		}
		rest.From = next
		if err := s.compareTags(part, theirs, page); err != nil {
			return err
		}
	}
	return s.settle(ctx, MaxEntries)
}

// settle moves what was gathered, once there is enough of it.
func (s *session) settle(ctx context.Context, enough int) error {
	if err := s.give(ctx, enough); err != nil {
		return err
	}
	if err := s.fetch(ctx, enough); err != nil {
		return err
	}
	return s.exchangeShared(ctx)
}

// compareTags compares this node's records of a range with the member's tags, and gathers what to
// give and what to fetch.
func (s *session) compareTags(r keyspace.Range, theirs []replica.TagAt, page *replica.Page) error {
	var d difference
	for more := true; more; {
		if err := s.v.Store.Page(s.v.Epoch, r, nil, pageBytes, page); err != nil {
			return err
		}
		d = difference{d.want[:0], d.give[:0], d.shared[:0]}
		// Compare this page of own records with the tags of the same ranks.
		entries, next, n := page.Entries, page.Next.Rank, len(theirs)
		more = !page.Next.Ends(r)
		if more {
			n = sort.Search(len(theirs), func(i int) bool { return theirs[i].Rank >= next })
		}
		if len(page.Next.Key) > 0 { // the page ends within its last rank, so that rank is exchanged whole
			for len(entries) > 0 && entries[len(entries)-1].Rank == next {
				entries = entries[:len(entries)-1]
			}
			d.shared = append(d.shared, next)
		}
		d.compare(entries, theirs[:n])
		theirs = theirs[n:]
		if len(page.Next.Key) > 0 {
			if len(theirs) > 0 && theirs[0].Rank == next {
				theirs = theirs[1:]
			}
			next++
			more = next != r.To
		}
		r.From = next
		s.gather(&d, entries)
	}
	return nil
}

// gather notes what is to be moved. It clones the entries to give, since they borrow a page.
func (s *session) gather(d *difference, entries []replica.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want = append(s.want, d.want...)
	s.shared = append(s.shared, d.shared...)
	if !s.push {
		return
	}
	for _, i := range d.give {
		entry := &entries[i]
		s.toGive = append(s.toGive, replica.Entry{Rank: entry.Rank, Key: bytes.Clone(entry.Key), Record: entry.Record.Clone()})
	}
}

// take removes up to MaxEntries from the end of one of the session's lists, and returns them. It
// returns none while there are fewer than enough.
func take[T any](s *session, list *[]T, enough int) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(*list) < enough {
		return nil
	}
	from := max(0, len(*list)-MaxEntries)
	taken := slices.Clone((*list)[from:])
	*list = (*list)[:from]
	return taken
}

// give pushes what is newer here, once there is enough of it.
func (s *session) give(ctx context.Context, enough int) error {
	for {
		entries := take(s, &s.toGive, enough)
		if len(entries) == 0 {
			return nil
		}
		if err := s.send(ctx, entries); err != nil {
			return err
		}
	}
}

// send pushes entries, at most MaxEntries.
func (s *session) send(ctx context.Context, entries []replica.Entry) error {
	if err := s.d.cfg.Peers.Push(ctx, s.v, s.with, entries); err != nil {
		return err
	}
	size := 0
	for i := range entries {
		size += wireSize(&entries[i])
	}
	s.mu.Lock()
	s.moved += len(entries)
	s.mu.Unlock()
	s.d.stats.sent.Add(uint64(len(entries)))
	s.d.stats.bytes.Add(uint64(size))
	s.progress.add(0, len(entries), size)
	return s.pace.pay(ctx, size)
}

// fetch gets what is newer at the member, once there is enough of it.
func (s *session) fetch(ctx context.Context, enough int) error {
	for {
		ranks := take(s, &s.want, enough)
		if len(ranks) == 0 {
			return nil
		}
		if err := s.fetchRanks(ctx, ranks); err != nil {
			return err
		}
	}
}

// fetchRanks gets the member's records at ranks, at most MaxEntries, in as many replies as are
// needed.
func (s *session) fetchRanks(ctx context.Context, ranks []keyspace.Rank) error {
	page := s.d.page()
	defer s.d.pages.Put(page)
	slices.Sort(ranks)
	ranks = slices.Compact(ranks)
	at := keyspace.Place{Rank: ranks[0]}
	for {
		if err := s.d.cfg.Peers.Fetch(ctx, s.v, s.with, ranks, at.Key, page); err != nil {
			return err
		}
		if err := s.store(ctx, page.Entries, 0); err != nil {
			return err
		}
		if page.Next.IsZero() {
			return nil
		}
		i, asked := slices.BinarySearch(ranks, page.Next.Rank)
		if !asked || !page.Next.Beyond(at, keyspace.All()) {
			return errNonsense
		}
		ranks = ranks[i:]
		at.Rank, at.Key = page.Next.Rank, append(at.Key[:0], page.Next.Key...)
	}
}

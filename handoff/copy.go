package handoff

import (
	"context"
	"slices"

	"viakv/ring/keyspace"
)

// copyRange merges all of the member's records in a range.
func (s *session) copyRange(ctx context.Context, r keyspace.Range) error {
	page := s.d.page()
	defer s.d.pages.Put(page)
	at := keyspace.Place{Rank: r.From}
	for {
		rest := keyspace.Range{From: at.Rank, To: r.To}
		if err := s.d.cfg.Peers.Copy(ctx, s.v, s.with, rest, at.Key, pageFrom(at), page); err != nil {
			return err
		}
		done := portion(rest)
		if !page.Next.Ends(r) {
			done -= portion(keyspace.Range{From: page.Next.Rank, To: r.To})
		}
		if err := s.store(ctx, page.Entries, done*s.weight); err != nil {
			return err
		}
		if page.Next.Ends(r) {
			return nil
		}
		if !page.Next.Beyond(at, r) {
			return errNonsense
		}
		at.Rank, at.Key = page.Next.Rank, append(at.Key[:0], page.Next.Key...)
	}
}

// pageFrom returns how many bytes a page that begins at a place should have.
func pageFrom(at keyspace.Place) int {
	if len(at.Key) > 0 {
		return sharedBytes
	}
	return pageBytes
}

// giveRange makes the member merge all of this node's records in a range. It is used for records
// that share a rank.
func (s *session) giveRange(ctx context.Context, r keyspace.Range) error {
	page := s.d.page()
	defer s.d.pages.Put(page)
	at := keyspace.Place{Rank: r.From}
	for {
		rest := keyspace.Range{From: at.Rank, To: r.To}
		if err := s.v.Store.Page(s.v.Epoch, rest, at.Key, pageFrom(at), page); err != nil {
			return err
		}
		for part := range slices.Chunk(page.Entries, sharedEntries) {
			if err := s.send(ctx, part); err != nil {
				return err
			}
		}
		if page.Next.Ends(r) {
			return nil
		}
		at.Rank, at.Key = page.Next.Rank, append(at.Key[:0], page.Next.Key...)
	}
}

// exchangeShared moves all records of the ranks at which several keys lie, both ways. Under a keyed
// hash there are practically no such ranks, so it need not be thrifty.
func (s *session) exchangeShared(ctx context.Context) error {
	for {
		s.mu.Lock()
		n := len(s.shared)
		if n == 0 {
			s.mu.Unlock()
			return nil
		}
		rank := s.shared[n-1]
		s.shared = s.shared[:n-1]
		s.mu.Unlock()
		r := keyspace.Range{From: rank, To: rank + 1}
		if err := s.copyRange(ctx, r); err != nil {
			return err
		}
		if s.push {
			if err := s.giveRange(ctx, r); err != nil {
				return err
			}
		}
	}
}

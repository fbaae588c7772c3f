package stateless

import (
	"context"
	"unicode/utf8"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// Rows of a page. The first page is small, for a scan that wants few rows. FullPage rows of the
// largest pairs are 5 MB.
const (
	firstPage = 512
	FullPage  = 4096
)

// Pages makes the batches and cursors of a kv.Scanner from the pages of a store; a scanner embeds
// it. The zero value with the exported fields is ready for Begin.
type Pages struct {
	// Fetch fills b with the rows behind a key, in the order of their keys and up to a limit. An
	// empty key is before all others. A cursor may come from a scan with another prefix, so the key
	// may lie before or behind the prefix.
	Fetch      func(ctx context.Context, b *kv.Batch, after []byte, limit int) error
	Seal       *Seal
	Generation int64 // the one that the scan walks over

	first kv.Batch // read ahead by Begin, so that its errors are known before an answer begins
	ahead bool
	ended bool
	batch kv.Batch // the batch handed out last, whose keys cursors need; borrowed from the caller
	after []byte   // the key before that batch; empty: none
}

// Begin reads the first page: behind the cursor or, if that is empty, from the first key on.
func (p *Pages) Begin(ctx context.Context, cursor string) error {
	if cursor != "" {
		g, after, err := p.Seal.open(cursor)
		if err != nil {
			return err
		}
		if int64(g) != p.Generation {
			return kv.Detail(kv.ErrBadCursor, "the store was cleared since it was given out")
		}
		p.after = after
	}
	err := p.fetch(ctx, &p.first, firstPage)
	p.ahead = len(p.first.Pairs) > 0
	return err
}

// fetch fills b with the page behind p.after. It asks for one row more than it wants. That row
// tells whether any follow, and is read again.
func (p *Pages) fetch(ctx context.Context, b *kv.Batch, rows int) error {
	if err := p.Fetch(ctx, b, p.after, rows+1); err != nil {
		return err
	}
	n := len(b.Pairs)
	p.ended = n <= rows
	b.Pairs = b.Pairs[:min(n, rows)]
	return nil
}

// Next implements kv.Scanner. A batch is a page.
func (p *Pages) Next(ctx context.Context, b *kv.Batch) (bool, error) {
	if n := len(p.batch.Pairs); n > 0 {
		p.after = append(p.after[:0], p.batch.Pairs[n-1].Key...)
	}
	p.batch = kv.Batch{}
	b.Reset()
	switch {
	case p.ahead:
		*b, p.first, p.ahead = p.first, kv.Batch{}, false
	case p.ended:
		return false, nil
	default:
		if err := p.fetch(ctx, b, FullPage); err != nil {
			return false, err
		}
	}
	p.batch = *b
	return len(b.Pairs) > 0, nil
}

// Cursor implements kv.Scanner.
func (p *Pages) Cursor(n int) string {
	if p.ended && n >= len(p.batch.Pairs) {
		return ""
	}
	after := p.after
	if n > 0 {
		after = p.batch.Pairs[n-1].Key
	}
	return p.Seal.Cursor(version.Generation(p.Generation), after)
}

// Successor returns the smallest valid UTF-8 text above every text with the prefix, and the empty
// text when there is none. In UTF-8 the order of bytes is the order of characters. So Successor
// serves databases that compare bytes and databases that compare characters.
func Successor(prefix string) string {
	for len(prefix) > 0 {
		r, n := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-n]
		switch {
		case r == utf8.MaxRune:
			continue // no character is above this one, so the one before it must grow
		case r == 0xd7ff:
			r = 0xe000 // surrogates are no characters
		default:
			r++
		}
		return prefix + string(r)
	}
	return ""
}

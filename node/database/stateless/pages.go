package stateless

import (
	"context"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// Rows of a page. The first page is small, for a scan that wants few rows. FullPage rows of the
// largest pairs are 5 MB.
const (
	FirstPage = 512
	FullPage  = 4096
)

// Pages makes the batches and cursors of a kv.Scanner from the pages of a store; a scanner embeds
// it. The zero value with Fetch and Seal is ready for Begin.
type Pages struct {
	// Fetch fills b with the next page, and reports whether that is the last one.
	Fetch func(ctx context.Context, b *kv.Batch) (last bool, err error)
	Seal  *Seal

	generation int64
	first      kv.Batch // read ahead by Begin, so that its errors are known before an answer begins
	ahead      bool
	ended      bool
	batch      kv.Batch // the batch handed out last, whose keys cursors need; borrowed from the caller
	after      []byte   // the key before that batch; empty: none
}

// Resume notes the generation that the scan is of, and returns the key that the cursor resumes
// behind. For an empty cursor that is no key.
func (p *Pages) Resume(generation int64, cursor string) ([]byte, error) {
	p.generation = generation
	if cursor == "" {
		return nil, nil
	}
	g, after, err := p.Seal.Open(cursor)
	if err != nil {
		return nil, err
	}
	if int64(g) != generation {
		return nil, kv.Detail(kv.ErrBadCursor, "the store was cleared since it was given out")
	}
	p.after = after
	return after, nil
}

// Begin reads the first page.
func (p *Pages) Begin(ctx context.Context) (err error) {
	p.ended, err = p.Fetch(ctx, &p.first)
	p.ahead = len(p.first.Pairs) > 0
	return err
}

// Next implements kv.Scanner. A batch is a page.
func (p *Pages) Next(ctx context.Context, b *kv.Batch) (_ bool, err error) {
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
		if p.ended, err = p.Fetch(ctx, b); err != nil {
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
	return p.Seal.Cursor(version.Generation(p.generation), after)
}

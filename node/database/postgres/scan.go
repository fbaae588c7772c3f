package postgres

import (
	"bytes"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"viakv/api/kv"
	"viakv/node/database/stateless"
)

// beyondKeys is above every key, because no UTF-8 text begins with it.
var beyondKeys = []byte{0xff}

// scanner walks over one generation in the order of the keys' bytes, a page at a time. Between
// pages it holds no connection (P4), so each page shows a moment of its own. A snapshot scanner
// reads all its pages in one transaction.
type scanner struct {
	stateless.Pages
	store     *Store
	deadline  time.Time // of the whole scan; zero: each page has a time-out of its own
	snapshot  *snapshot // nil: each page shows a moment of its own
	statement string
	values    bool
	prefix    string
	to        []byte // above every key with the prefix
}

// Scan implements kv.Store. An explicit deadline bounds the whole scan. Without one each page has a
// time-out of its own, because the reader decides how long a scan takes.
func (s *Store) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	sc := &scanner{
		store: s, deadline: o.Deadline, values: o.Values, statement: keysPageStatement, prefix: o.Prefix, to: beyondKeys,
	}
	sc.Pages = stateless.Pages{Fetch: sc.page, Seal: s.seal}
	if o.Values {
		sc.statement = pageStatement
	}
	if to := stateless.Successor(o.Prefix); to != "" {
		sc.to = []byte(to)
	}
	if o.Snapshot {
		if o.Cursor != "" {
			return nil, &kv.ArgumentError{Parameter: "snapshot", Detail: "a snapshot lives as long as its request and cannot be resumed by a cursor"}
		}
		var err error
		if sc.snapshot, err = s.beginSnapshot(ctx); err != nil {
			return nil, err
		}
	}
	if err := sc.begin(ctx, o.Cursor); err != nil {
		sc.Close()
		return nil, err
	}
	return sc, nil
}

// begin finds the generation to walk over and reads the first page.
func (sc *scanner) begin(ctx context.Context, cursor string) error {
	err := sc.statementOn(ctx, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, generationStatement).Scan(&sc.Generation)
	})
	if err != nil {
		return err
	}
	sc.store.Generation.Note(sc.Generation)
	return sc.Begin(ctx, cursor)
}

// Close implements kv.Scanner.
func (sc *scanner) Close() {
	if sc.snapshot != nil {
		sc.snapshot.end()
		sc.snapshot = nil
	}
}

// page is the Fetch of its Pages.
func (sc *scanner) page(ctx context.Context, b *kv.Batch, after []byte, limit int) error {
	from := []byte(sc.prefix)
	if string(after) >= sc.prefix && len(after) > 0 {
		from = append(bytes.Clone(after), 0) // the next larger key
	}
	err := sc.statementOn(ctx, func(ctx context.Context, c *pgx.Conn) error {
		b.Reset()
		return sc.read(ctx, c, b, from, limit)
	})
	if err == nil && len(b.Pairs) == 0 {
		err = sc.confirm(ctx)
	}
	return err
}

func (sc *scanner) read(ctx context.Context, c *pgx.Conn, b *kv.Batch, from []byte, limit int) error {
	rows, err := c.Query(ctx, sc.statement, sc.Generation, from, sc.to, limit)
	if err != nil {
		return err
	}
	defer rows.Close()
	arena := appender{b: b.Arena}
	split := splitter{appender: &arena}
	targets := []any{&split, &arena}
	if !sc.values {
		targets = targets[:1]
	}
	for rows.Next() {
		// Where the arena moves to grow, earlier pairs keep its former memory alive. That happens a
		// few times, until the arena is as large as a page.
		start := len(arena.b)
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		p := kv.Pair{Key: arena.b[start:split.at:split.at]}
		if sc.values {
			p.Value = arena.b[split.at:len(arena.b):len(arena.b)]
		}
		b.Pairs = append(b.Pairs, p)
	}
	b.Arena = arena.b
	return rows.Err()
}

// splitter appends a key and notes where it ends.
type splitter struct {
	*appender
	at int
}

func (s *splitter) ScanBytes(v []byte) error {
	err := s.appender.ScanBytes(v)
	s.at = len(s.b)
	return err
}

// confirm tells the end of the keys from a clear. Both show as an empty page.
func (sc *scanner) confirm(ctx context.Context) error {
	if sc.snapshot != nil {
		return nil
	}
	var now int64
	err := sc.statementOn(ctx, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, generationStatement).Scan(&now)
	})
	if err != nil {
		return err
	}
	if now != sc.Generation {
		sc.store.Generation.Note(now)
		return kv.ErrCleared
	}
	return nil
}

// statementOn runs a statement on the snapshot's connection or, without a snapshot, on any.
func (sc *scanner) statementOn(ctx context.Context, fn func(context.Context, *pgx.Conn) error) error {
	deadline := stateless.Until(sc.deadline, max(stateless.PageTimeout, sc.store.cfg.Timeout))
	if sc.snapshot != nil {
		return sc.snapshot.run(ctx, deadline, fn)
	}
	return sc.store.attempt(ctx, deadline, reads, fn)
}

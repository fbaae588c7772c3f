package postgres

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"viakv/api/sleep"

	"github.com/jackc/pgx/v5"
)

const (
	collectRows  = 1000             // a batch: a few milliseconds of row locks that no request waits for
	collectEvery = 10 * time.Minute // the pause between looks for garbage of dead nodes and late writers
	claimAge     = 10 * time.Second // the age at which the lease of 30 s is renewed
	leastPause   = 5 * time.Millisecond
	batchTimeout = 30 * time.Second
)

// wakeCollector wakes the collector. It never blocks: one wake-up that is pending is as good as
// many.
func (s *Store) wakeCollector() {
	select {
	case s.collect <- struct{}{}:
	default:
	}
}

// runCollector deletes garbage until ctx ends. An error ends one round only; the next round goes
// on.
func (s *Store) runCollector(ctx context.Context) {
	holder := fmt.Sprintf("%s/%016x", s.cfg.Name, rand.Uint64())
	first := time.NewTimer(rand.N(time.Minute)) // so that after a deployment not all nodes look at once
	defer first.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.collect:
		case <-first.C:
			first.Reset(collectEvery + rand.N(collectEvery/2))
		}
		_ = s.collectGarbage(ctx, holder) // the cause of an error is the database's state, which Ready shows
	}
}

// position is a row's place in the order of the primary key.
type position struct {
	generation int64
	key        []byte
}

// collectGarbage deletes all rows of older generations, in batches. After each batch it rests as
// long as the batch took. So it uses half of one connection's time at most, however slow the server
// is. It returns early when another node is collecting.
func (s *Store) collectGarbage(ctx context.Context, holder string) error {
	after := position{generation: -1}
	var claimed time.Time
	for {
		if time.Since(claimed) > claimAge {
			ok, err := s.claim(ctx, holder)
			if err != nil || !ok {
				return err
			}
			claimed = time.Now()
		}
		began := time.Now()
		n, last, err := s.collectBatch(ctx, after)
		if err != nil {
			return err
		}
		if n == 0 {
			_, err := s.pool.Exec(ctx, releaseStatement, holder)
			return err
		}
		s.collected.Add(uint64(n))
		after = last
		if !sleep.For(ctx, max(leastPause, time.Since(began))) {
			return ctx.Err()
		}
	}
}

// claim takes or renews the lease, and reports whether this node holds it.
func (s *Store) claim(ctx context.Context, holder string) (bool, error) {
	tag, err := s.pool.Exec(ctx, claimStatement, holder)
	return err == nil && tag.RowsAffected() == 1, err
}

// collectBatch deletes the next rows behind a position. Deleting is idempotent, so a lost answer
// does no harm.
func (s *Store) collectBatch(ctx context.Context, after position) (n int, last position, err error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	var current int64
	if err := s.pool.QueryRow(ctx, generationStatement).Scan(&current); err != nil {
		return 0, after, err
	}
	rows, err := s.pool.Query(ctx, collectStatement, current, after.generation, append([]byte{}, after.key...), collectRows)
	if err != nil {
		return 0, after, err
	}
	last = after
	var p position
	_, err = pgx.ForEachRow(rows, []any{&p.generation, &p.key}, func() error {
		n++
		if p.generation > last.generation || p.generation == last.generation && bytes.Compare(p.key, last.key) > 0 {
			last = position{p.generation, bytes.Clone(p.key)}
		}
		return nil
	})
	return n, last, err
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"viakv/api/client"
	"viakv/api/kv"
	"viakv/bench/chaos"
	"viakv/cmd/viakv/viakvtest"
)

// book keeps what a cluster must hold: for each key, what was acknowledged last. Each key has one
// writer at a time, so that the last write is certain.
type book struct {
	t     *testing.T
	l     *chaos.Lab
	state []entry // of the numbered keys
	// Keys written later, and how often the current scan has found each.
	fresh map[string]int
	added int // fresh keys of the last round
}

// entry is what is known of a numbered key.
type entry uint8

const (
	old     entry = iota // as filled in
	changed              // overwritten
	gone                 // removed
	open                 // a write of the key has an unknown outcome
)

const (
	oldValue     = "the value that the key was filled with: a hundred characters or so, as values are in the measurements"
	changedValue = "the value that the key was overwritten with"
	writers      = 4
	span         = 64 // in each row of so many keys, a round overwrites one and removes one
)

func newBook(t *testing.T, l *chaos.Lab, n int) *book {
	return &book{t: t, l: l, state: make([]entry, n), fresh: map[string]int{}}
}

func keyNumber(i int) string { return fmt.Sprintf("key-%09d", i) }

// fill sets all numbered keys, over several connections to each node.
func (b *book) fill() {
	const connections, batch = 12, 64
	var filling sync.WaitGroup
	for c := range connections {
		filling.Go(func() {
			conn, err := b.l.Client(c%3).Connect(b.t.Context(), 0)
			if err != nil {
				b.t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			for at := c * batch; at < len(b.state); at += connections * batch {
				to := min(len(b.state), at+batch)
				for i := at; i < to; i++ {
					conn.AppendSet([]byte(keyNumber(i)), []byte(oldValue))
				}
				if err := conn.Flush(); err != nil {
					b.t.Error(err)
					return
				}
				for i := at; i < to; i++ {
					a, err := conn.Receive()
					if err != nil {
						b.t.Errorf("a set: %v", err)
						return
					}
					if a.Status != 200 && !b.fillOne(i) {
						return
					}
				}
			}
		})
	}
	filling.Wait()
	if b.t.Failed() {
		b.t.FailNow()
	}
}

// fillOne sets a key again after a busy machine has cut off its set. No other writer uses the key
// yet, so a second set does no harm.
func (b *book) fillOne(i int) bool {
	var err error
	for end := time.Now().Add(viakvtest.Patience); time.Now().Before(end); {
		if _, err = b.l.Client(i%3).Set(b.t.Context(), keyNumber(i), oldValue); err == nil {
			return true
		}
	}
	b.t.Errorf("a set: %v", err)
	return false
}

// note is what a writer knows at its end.
type note struct {
	numbered map[int]entry
	fresh    []string
}

// write overwrites, removes and adds keys until ctx ends. The returned function waits for that end.
// Each writer has a node of its own, so that a node that hangs holds up its own writers only.
func (b *book) write(ctx context.Context, round int) func() []note {
	notes := make([]note, writers)
	var writing sync.WaitGroup
	for w := range writers {
		notes[w].numbered = map[int]entry{}
		writing.Go(func() {
			// Whole turns of all writers, so that no writer reaches the keys of another.
			stretch := max(len(b.state)/(writers*span), 1) * writers * span
			for i := w * span; ctx.Err() == nil; i += writers * span {
				b.writeOne(&notes[w], round, i%stretch, w%3, fmt.Sprintf("fresh-%d-%d-%d", round, w, i))
			}
		})
	}
	return func() []note {
		writing.Wait()
		return notes
	}
}

// writeOne overwrites a key, removes a key, and adds a key. The end of the round does not cut a
// request off, because the request's own result is needed.
func (b *book) writeOne(n *note, round, at, node int, fresh string) {
	c, ctx := b.l.Client(node), context.WithoutCancel(b.t.Context())
	if i := at + 2*round; i < len(b.state) && n.know(b, i) != open {
		_, err := c.Set(ctx, keyNumber(i), changedValue)
		n.after(i, changed, err)
	}
	if i := at + 2*round + 1; i < len(b.state) && n.know(b, i) != open {
		err := c.Remove(ctx, keyNumber(i))
		was := n.know(b, i)
		switch {
		case errors.Is(err, client.ErrMissing) && was != gone:
			b.t.Errorf("%s is missing before it was removed", keyNumber(i))
		case errors.Is(err, client.ErrMissing):
		case err == nil && was == gone:
			b.t.Errorf("%s was removed twice", keyNumber(i))
		default:
			n.after(i, gone, err)
		}
	}
	if _, err := c.Set(ctx, fresh, changedValue); err == nil {
		n.fresh = append(n.fresh, fresh)
	} else {
		time.Sleep(5 * time.Millisecond) // a node that is down refuses at once
	}
}

func (n *note) know(b *book, i int) entry {
	if e, ok := n.numbered[i]; ok {
		return e
	}
	return b.state[i]
}

// after notes the result of a write. A failed write that did nothing changes nothing. After any
// other failure the key stays open.
func (n *note) after(i int, e entry, err error) {
	failed, is := errors.AsType[*client.Error](err)
	switch {
	case err == nil:
		n.numbered[i] = e
	case is && failed.Outcome == kv.None:
	default:
		n.numbered[i] = open
	}
}

func (b *book) learn(notes []note) {
	b.added = 0
	for _, n := range notes {
		for i, e := range n.numbered {
			b.state[i] = e
		}
		b.added += len(n.fresh)
		for _, k := range n.fresh {
			b.fresh[k] = 0
		}
	}
}

// agree waits until the cluster is settled, every member takes writes again, and all hold the same.
// It returns how long after the fault that was.
func (b *book) agree(over time.Time) time.Duration {
	b.t.Helper()
	limit := allowed(10 * time.Second)
	if err := b.l.Settle(b.t.Context(), limit); err != nil {
		b.t.Fatal(err)
	}
	for i := range 3 {
		viakvtest.Await(b.t, b.l.Name(i)+" to take writes", func() bool {
			_, err := b.l.Client(i).Set(b.t.Context(), "beside", changedValue)
			return err == nil
		})
	}
	for {
		digests, equal := b.l.Digests(b.t.Context())
		took := time.Since(over)
		if equal {
			if took > limit {
				b.t.Errorf("the members agreed after %v, want %v", took, limit)
			}
			return took
		}
		if took > limit {
			b.t.Fatalf("the members hold different things %v after the fault: %v", took, digests)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// scan reads everything while writes of other keys go on, and compares it with the book.
func (b *book) scan(round int) (took time.Duration, seen int) {
	b.t.Helper()
	ctx, stop := context.WithCancel(b.t.Context())
	var beside sync.WaitGroup
	for w := range 2 {
		beside.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_, err := b.l.Client(w).Set(b.t.Context(), fmt.Sprintf("beside-%d-%d", w, i%5000), changedValue)
				failed, is := errors.AsType[*client.Error](err)
				// A purge during a write leaves its outcome unknown (D2).
				if err != nil && !(is && failed.Outcome == kv.Unknown) {
					b.t.Errorf("a set beside the scan: %v", err)
					return
				}
			}
		})
	}
	defer beside.Wait()
	defer stop()

	began := time.Now()
	found := make([]entry, len(b.state))
	for i := range found {
		found[i] = gone
	}
	for k := range b.fresh {
		b.fresh[k] = 0
	}
	for pair, err := range b.l.Client(round%3).All(b.t.Context(), client.ScanOptions{}) {
		if err != nil {
			b.t.Fatalf("the scan was cut: %v", err)
		}
		seen++
		if _, ours := b.fresh[pair.Key]; ours {
			b.fresh[pair.Key]++
			continue
		}
		i, err := strconv.Atoi(strings.TrimPrefix(pair.Key, "key-"))
		if err != nil {
			continue // written beside the scan, or with an unknown outcome
		}
		if found[i] != gone {
			b.t.Fatalf("%s comes twice", pair.Key)
		}
		found[i] = map[string]entry{oldValue: old, changedValue: changed}[pair.Value]
	}
	took = time.Since(began)
	wrong := 0
	for i, want := range b.state {
		if want != open && found[i] != want {
			if wrong++; wrong <= 10 {
				b.t.Errorf("%s is %d, want %d (0 old, 1 changed, 2 gone)", keyNumber(i), found[i], want)
			}
		}
	}
	for k, times := range b.fresh {
		if times != 1 {
			if wrong++; wrong <= 10 {
				b.t.Errorf("%s comes %d times", k, times)
			}
		}
	}
	if wrong > 0 {
		b.t.Errorf("%d keys are wrong in all", wrong)
	}
	return took, seen
}

// purged waits until the tombstones are collected, and scans again.
func (b *book) purged() {
	b.t.Helper()
	began := time.Now()
	viakvtest.Await(b.t, "the tombstones to be collected", func() bool {
		s, err := b.l.Client(0).Cluster(b.t.Context())
		return err == nil && s.Tombstones == 0
	})
	over := time.Now()
	b.t.Logf("tombstones were collected after %v", over.Sub(began).Round(time.Millisecond))
	b.agree(over)
	b.scan(1)
}

// cleared clears the store and checks that no node has a key left.
func (b *book) cleared() {
	b.t.Helper()
	if err := b.l.Client(1).Clear(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	over := time.Now()
	for i := range 3 {
		for pair, err := range b.l.Client(i).All(b.t.Context(), client.ScanOptions{}) {
			b.t.Fatalf("after a clear: %v, %v", pair, err)
		}
	}
	b.agree(over)
}

package mongodb

import (
	"context"
	"errors"
	"time"

	"viakv/api/kv"
	"viakv/node/database/stateless"
)

// kind is the kind of a command. It tells whether the command may be re-run after its answer was
// lost.
type kind bool

const (
	reads   kind = false
	mutates kind = true
)

// lostAttempts bounds how often a read is tried when its connection breaks. The driver has repeated
// each try by itself before.
const lostAttempts = 3

// grace is the time left between the driver's deadline and the caller's, in which the driver cleans
// up.
const grace = 50 * time.Millisecond

// notConfirmed is the reason of a write whose outcome is open.
const notConfirmed = "the database's answer was lost, or it did not come from a majority"

// attempt runs fn until there is an answer, the deadline passes, or an error is final (N4). fn runs
// one command, and must be ready to be called again.
func (s *Store) attempt(ctx context.Context, deadline time.Time, k kind, fn func(context.Context) error) error {
	deadline = stateless.Until(deadline, s.cfg.Timeout)
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(-min(grace, time.Until(deadline)/4)))
	defer cancel()
	lost := 0
	for n := 1; ; n++ {
		counted, sent := counting(ctx)
		err := fn(counted)
		if err == nil || errors.Is(err, kv.ErrMissing) || errors.Is(err, kv.ErrUnavailable) {
			return err
		}
		sendings := sent.Load()
		switch e := effectOf(err, sendings); {
		case sendings == 0:
			return s.unsent(err)
		case e == nothing:
			return s.unavailable(kv.None, reasonOf(err), err)
		case e == open && k == mutates:
			return s.unavailable(kv.Unknown, notConfirmed, err)
		case e == open:
			if lost++; lost >= lostAttempts || ctx.Err() != nil {
				return s.unavailable(kv.None, reasonOf(err), err)
			}
		}
		if !stateless.Wait(ctx, n) {
			return s.unavailable(kv.None, reasonOf(err), err)
		}
	}
}

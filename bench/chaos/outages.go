package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"viakv/api/document"
	"viakv/api/sleep"
)

// Outage is what happens to a node, or to the cluster beside a node that is paused, while gaps are
// measured at the other nodes.
type Outage struct {
	Name string
	// ToNobody says that it happens to no node. Else the gaps of the node do not count.
	ToNobody bool
	// do makes it happen to a node, or beside it, and returns when that is over.
	do func(ctx context.Context, l *Lab, node int) error
	// heal makes the cluster whole again. What happens then is not measured. Nil: it is whole.
	heal func(ctx context.Context, l *Lab, node int) error
}

const (
	// Lull is how long gaps are usually measured after an outage. A cluster that is whole is asked
	// for as long before the next one, so that its nodes hold leases.
	Lull = 2 * time.Second
	// pausedFor is how long a node is paused before and after what happens beside it.
	pausedFor = 1500 * time.Millisecond
)

// Outages are the outages whose gaps are measured, in their order.
var Outages = []Outage{
	{Name: "nothing", ToNobody: true, do: func(context.Context, *Lab, int) error { return nil }},
	{Name: "kill -9", do: func(_ context.Context, l *Lab, node int) error { l.Kill(node); return nil }},
	{Name: "start after kill -9", do: startAgain}, // of the node that the outage before has killed
	{Name: "SIGTERM", do: func(_ context.Context, l *Lab, node int) error { l.Terminate(node); return nil }},
	{Name: "start after SIGTERM", do: startAgain},
	{Name: "SIGSTOP for 30 ms", do: pauseFor(30 * time.Millisecond)},
	{Name: "SIGSTOP for 3 s", do: pauseFor(3 * time.Second)},
	{Name: "a clear", ToNobody: true, do: clearBeside},
	{Name: "a clear, a node paused", do: besidePaused(clearBeside)},
	{Name: "a join", ToNobody: true, do: joinBeside, heal: leaveAgain},
	{Name: "a join, a node paused", do: besidePaused(joinBeside), heal: leaveAgain},
}

func startAgain(ctx context.Context, l *Lab, node int) error {
	if err := l.Start(node); err != nil {
		return err
	}
	return l.Settle(ctx, rebuiltWithin)
}

func pauseFor(d time.Duration) func(context.Context, *Lab, int) error {
	return func(ctx context.Context, l *Lab, node int) error {
		l.Pause(node)
		defer l.Resume(node)
		sleep.For(ctx, d)
		return nil
	}
}

// besidePaused does something while a node is paused.
func besidePaused(do func(context.Context, *Lab, int) error) func(context.Context, *Lab, int) error {
	return func(ctx context.Context, l *Lab, node int) error {
		l.Pause(node)
		defer l.Resume(node)
		sleep.For(ctx, pausedFor)
		err := do(ctx, l, node)
		sleep.For(ctx, pausedFor)
		return err
	}
}

func clearBeside(ctx context.Context, l *Lab, node int) error {
	return l.control[(node+1)%l.members].Clear(ctx)
}

// joinBeside lets the spare join. It returns when the spare is a member, or after a while.
func joinBeside(ctx context.Context, l *Lab, node int) error {
	spare := l.Spare()
	if err := l.Start(spare); err != nil {
		return err
	}
	joined := func(m document.Member) bool { return m.Name == nodeName(spare) && m.State == "active" }
	for deadline := time.Now().Add(rebuiltWithin); ; sleep.For(ctx, pollEvery) {
		s, err := l.control[(node+1)%l.members].Cluster(ctx)
		switch {
		case err == nil && slices.ContainsFunc(s.Members, joined):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return errors.New("the spare did not join")
		}
	}
}

func leaveAgain(ctx context.Context, l *Lab, node int) error {
	if err := l.Settle(ctx, rebuiltWithin); err != nil {
		return err
	}
	_, err := l.control[(node+1)%l.members].Leave(ctx, l.Name(l.Spare()), false)
	l.Kill(l.Spare())
	return err
}

// MeasureGaps makes outages in their order, each in every round, and tells each time what the
// callers of the nodes that live have met. In each round another node is the one to which it
// happens. It ends early with an error when the cluster does not come together again.
//
// starved is the longest time for which this program itself did not run. What is not much longer
// than that says nothing about the nodes.
func (l *Lab) MeasureGaps(ctx context.Context, outages []Outage, rounds int, lull time.Duration, tell func(o Outage, node int, gaps []Gap, starved time.Duration)) error {
	w, err := l.watchGaps(ctx)
	if err != nil {
		return err
	}
	defer w.stopAll()
	for round := range rounds {
		node := round % l.members
		for _, o := range outages {
			if err := w.fill(ctx, (node+1)%l.members); err != nil {
				return err
			}
			sleep.For(ctx, lull)
			w.reset()
			if err := o.do(ctx, l, node); err != nil {
				return fmt.Errorf("%s: %w", o.Name, err)
			}
			sleep.For(ctx, lull)
			gaps, starved := w.reset()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !o.ToNobody {
				gaps = slices.DeleteFunc(gaps, func(g Gap) bool { return g.Node == node })
			}
			tell(o, node, gaps, starved)
			if o.heal != nil {
				err = o.heal(ctx, l, node)
			}
			if err == nil && l.nodes[node].alive() {
				err = l.Settle(ctx, rebuiltWithin)
			}
			if err != nil {
				return fmt.Errorf("after %s: %w", o.Name, err)
			}
		}
	}
	return nil
}

package runner

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"viakv/bench/workload"
)

// fake is a target whose answers the test decides.
type fake struct {
	answer   func(n int64, kind workload.Kind) (Answer, error)
	connects atomic.Int64
	closes   atomic.Int64
	refuse   atomic.Bool
	requests atomic.Int64
	most     atomic.Int64 // in flight on one connection at once
}

func (f *fake) Name() string { return "fake" }

func (f *fake) Connect(context.Context) (Connection, error) {
	if f.refuse.Load() {
		return nil, errors.New("refused")
	}
	f.connects.Add(1)
	return &fakeConnection{fake: f, flushed: make(chan workload.Kind, MaxPipeline), closed: make(chan struct{})}, nil
}

type fakeConnection struct {
	*fake
	queued  []workload.Kind
	flushed chan workload.Kind
	flight  atomic.Int64
	closed  chan struct{}
	once    sync.Once
}

func (c *fakeConnection) Append(kind workload.Kind, _, _ []byte) { c.queued = append(c.queued, kind) }
func (c *fakeConnection) Buffered() bool                         { return len(c.flushed) > 0 }
func (c *fakeConnection) SetReadDeadline(time.Time)              {}
func (c *fakeConnection) SetWriteDeadline(time.Time)             {}

func (c *fakeConnection) Flush() error {
	for _, k := range c.queued {
		n := c.flight.Add(1)
		for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
		}
		select {
		case c.flushed <- k:
		case <-c.closed:
			return errors.New("closed")
		}
	}
	c.queued = c.queued[:0]
	return nil
}

func (c *fakeConnection) Receive() (Answer, error) {
	select {
	case k := <-c.flushed:
		c.flight.Add(-1)
		return c.answer(c.requests.Add(1), k)
	case <-c.closed:
		return Answer{}, errors.New("closed")
	}
}

func (c *fakeConnection) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.closes.Add(1)
	})
	return nil
}

func always(a Answer) func(int64, workload.Kind) (Answer, error) {
	return func(int64, workload.Kind) (Answer, error) { return a, nil }
}

// counted hands out as many requests as left says, to all workers together.
type counted struct {
	left *atomic.Int64
	kind workload.Kind
}

func (c counted) Next() (workload.Op, bool) {
	n := c.left.Add(-1)
	return workload.Op{Kind: c.kind, Index: uint64(max(n, 0))}, n >= 0
}

func requests(n int64, kind workload.Kind) func(int) workload.Source {
	left := new(atomic.Int64)
	left.Store(n)
	return func(int) workload.Source { return counted{left, kind} }
}

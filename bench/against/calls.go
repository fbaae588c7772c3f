package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// caller is a client of a store whose driver multiplexes by itself.
type caller interface {
	do(ctx context.Context, r request) (runner.Answer, error)
	Close() error
}

type request struct {
	kind       workload.Kind
	key, value string
}

type outcome struct {
	answer runner.Answer
	err    error
}

// calls is a connection over a caller: the requests of a window run side by side.
type calls struct {
	client  caller
	queued  []request
	answers chan chan outcome // in the order of the requests
	closed  chan struct{}
	once    sync.Once
}

const requestTimeout = 10 * time.Second

func newCalls(c caller) *calls {
	return &calls{client: c, answers: make(chan chan outcome, 1024), closed: make(chan struct{})}
}

func (c *calls) Append(kind workload.Kind, key, value []byte) {
	c.queued = append(c.queued, request{kind, string(key), string(value)})
}

func (c *calls) Flush() error {
	for _, r := range c.queued {
		answer := make(chan outcome, 1)
		select {
		case c.answers <- answer:
		case <-c.closed:
			return errors.New("closed")
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
			defer cancel()
			a, err := c.client.do(ctx, r)
			answer <- outcome{a, err}
		}()
	}
	c.queued = c.queued[:0]
	return nil
}

func (c *calls) Receive() (runner.Answer, error) {
	select {
	case answer := <-c.answers:
		o := <-answer
		return o.answer, o.err
	case <-c.closed:
		return runner.Answer{}, errors.New("closed")
	}
}

func (c *calls) Buffered() bool             { return false }
func (c *calls) SetReadDeadline(time.Time)  {} // each request has its own
func (c *calls) SetWriteDeadline(time.Time) {}

func (c *calls) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.client.Close()
}

// found is the answer to a request that a key is needed for.
func found(is bool) runner.Answer {
	if !is {
		return runner.Answer{Outcome: runner.Missing}
	}
	return runner.Answer{Outcome: runner.OK}
}

package main

import (
	"context"
	"errors"
	"sync"
	"time"

	etcd "go.etcd.io/etcd/client/v3"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// etcdTarget sends requests over gRPC, which multiplexes by itself. So each connection here is a
// client of its own, and the requests of a window run side by side.
type etcdTarget struct{ name, address string }

func (e etcdTarget) Name() string { return e.name }

func (e etcdTarget) Connect(ctx context.Context) (runner.Connection, error) {
	c, err := etcd.New(etcd.Config{Endpoints: []string{e.address}, DialTimeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	if _, err := c.Status(ctx, e.address); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &etcdConnection{client: c, answers: make(chan chan outcome, 1024), closed: make(chan struct{})}, nil
}

type outcome struct {
	answer runner.Answer
	err    error
}

type request struct {
	kind       workload.Kind
	key, value string
}

type etcdConnection struct {
	client  *etcd.Client
	queued  []request
	answers chan chan outcome // in the order of the requests
	closed  chan struct{}
	once    sync.Once
}

const requestTimeout = 10 * time.Second

func (c *etcdConnection) Append(kind workload.Kind, key, value []byte) {
	c.queued = append(c.queued, request{kind, string(key), string(value)})
}

func (c *etcdConnection) Flush() error {
	for _, r := range c.queued {
		answer := make(chan outcome, 1)
		select {
		case c.answers <- answer:
		case <-c.closed:
			return errors.New("closed")
		}
		go func() { answer <- c.do(r) }()
	}
	c.queued = c.queued[:0]
	return nil
}

func (c *etcdConnection) do(r request) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	found := func(n int64) runner.Answer {
		if n == 0 {
			return runner.Answer{Outcome: runner.Missing}
		}
		return runner.Answer{Outcome: runner.OK}
	}
	switch r.kind {
	case workload.Set:
		_, err := c.client.Put(ctx, r.key, r.value)
		return outcome{runner.Answer{Outcome: runner.OK}, err}
	case workload.Remove:
		d, err := c.client.Delete(ctx, r.key)
		if err != nil {
			return outcome{err: err}
		}
		return outcome{answer: found(d.Deleted)}
	}
	var options []etcd.OpOption
	if r.kind == workload.Has {
		options = append(options, etcd.WithCountOnly())
	}
	g, err := c.client.Get(ctx, r.key, options...)
	if err != nil {
		return outcome{err: err}
	}
	o := outcome{answer: found(g.Count)}
	if len(g.Kvs) > 0 {
		o.answer.Value = g.Kvs[0].Value
	}
	return o
}

func (c *etcdConnection) Receive() (runner.Answer, error) {
	select {
	case answer := <-c.answers:
		o := <-answer
		return o.answer, o.err
	case <-c.closed:
		return runner.Answer{}, errors.New("closed")
	}
}

func (c *etcdConnection) Buffered() bool             { return false }
func (c *etcdConnection) SetReadDeadline(time.Time)  {} // each request has its own
func (c *etcdConnection) SetWriteDeadline(time.Time) {}

func (c *etcdConnection) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.client.Close()
}

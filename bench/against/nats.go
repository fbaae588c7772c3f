package main

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// natsTarget is a bucket of NATS JetStream. Each connection here is a client of its own.
type natsTarget struct {
	name, address string
	bucket        jetstream.KeyValueConfig
}

// newNATS names the bucket that the first connection creates, unless it is there. Its values are in
// memory, with one entry of history, on so many replicas.
func newNATS(name, address string, replicas int) natsTarget {
	return natsTarget{name, address, jetstream.KeyValueConfig{Bucket: "bench", Storage: jetstream.MemoryStorage, Replicas: replicas, History: 1}}
}

func (n natsTarget) Name() string { return n.name }

func (n natsTarget) Connect(ctx context.Context) (runner.Connection, error) {
	c, err := nats.Connect("nats://"+n.address, nats.Timeout(5*time.Second), nats.MaxReconnects(0))
	if err != nil {
		return nil, err
	}
	client := natsClient{conn: c}
	js, err := jetstream.New(c)
	if err == nil {
		client.KeyValue, err = js.KeyValue(ctx, n.bucket.Bucket)
	}
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		client.KeyValue, err = js.CreateOrUpdateKeyValue(ctx, n.bucket)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return newCalls(client), nil
}

type natsClient struct {
	conn *nats.Conn
	jetstream.KeyValue
}

func (c natsClient) do(ctx context.Context, r request) (runner.Answer, error) {
	switch r.kind {
	case workload.Set:
		_, err := c.Put(ctx, r.key, []byte(r.value))
		return found(true), err
	case workload.Remove: // it does not say whether the key was there
		return found(true), c.Delete(ctx, r.key)
	}
	e, err := c.Get(ctx, r.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return found(false), nil
	}
	if err != nil {
		return runner.Answer{}, err
	}
	a := found(true)
	if r.kind == workload.Get {
		a.Value = e.Value()
	}
	return a, nil
}

func (c natsClient) Close() error {
	c.conn.Close()
	return nil
}

package main

import (
	"context"
	"errors"
	"time"

	etcd "go.etcd.io/etcd/client/v3"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// etcdTarget sends requests over gRPC, which multiplexes by itself. So each connection here is a
// client of its own.
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
	return newCalls(etcdClient{c}), nil
}

type etcdClient struct{ *etcd.Client }

func (c etcdClient) do(ctx context.Context, r request) (runner.Answer, error) {
	switch r.kind {
	case workload.Set:
		_, err := c.Put(ctx, r.key, r.value)
		return found(true), err
	case workload.Remove:
		d, err := c.Delete(ctx, r.key)
		if err != nil {
			return runner.Answer{}, err
		}
		return found(d.Deleted > 0), nil
	}
	var options []etcd.OpOption
	if r.kind == workload.Has {
		options = append(options, etcd.WithCountOnly())
	}
	g, err := c.Get(ctx, r.key, options...)
	if err != nil {
		return runner.Answer{}, err
	}
	a := found(g.Count > 0)
	if len(g.Kvs) > 0 {
		a.Value = g.Kvs[0].Value
	}
	return a, nil
}

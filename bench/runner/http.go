package runner

import (
	"context"

	"viakv/api/client"
	"viakv/bench/workload"
)

// httpTarget is viakv, or any server with its API, as a target. Other stores have protocols of
// their own; their targets are in bench/against, a module of its own, so that nothing here links
// their drivers.
type httpTarget struct {
	name   string
	client *client.Client
}

// NewHTTP makes a target of each endpoint of a client's configuration.
func NewHTTP(config client.Config, o client.Options) ([]Target, error) {
	var targets []Target
	for _, endpoint := range config.Endpoints {
		one := config
		one.Endpoints = []string{endpoint}
		c, err := client.New(one)
		if err != nil {
			return nil, err
		}
		targets = append(targets, &httpTarget{name: endpoint, client: c.With(o)})
	}
	return targets, nil
}

// Name implements Target.
func (h *httpTarget) Name() string { return h.name }

// Connect implements Target.
func (h *httpTarget) Connect(ctx context.Context) (Connection, error) {
	c, err := h.client.Connect(ctx, 0)
	if err != nil {
		return nil, err
	}
	return connection{c}, nil
}

type connection struct{ *client.Conn }

func (c connection) Append(kind workload.Kind, key, value []byte) {
	switch kind {
	case workload.Set:
		c.AppendSet(key, value)
	case workload.Has:
		c.AppendHas(key)
	case workload.Remove:
		c.AppendRemove(key)
	default:
		c.AppendGet(key)
	}
}

func (c connection) Receive() (Answer, error) {
	a, err := c.Conn.Receive()
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Status: a.Status, Value: a.Body}
	switch {
	case a.Status == 200:
		answer.Outcome = OK
	case a.Status == 404:
		answer.Outcome = Missing
	case a.Retriable, a.Status == 507, a.Status >= 400 && a.Status < 500:
		answer.Outcome = Refused
	}
	return answer, nil
}

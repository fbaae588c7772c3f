package client

import (
	"context"
	"errors"
	"strconv"

	"viakv/api/document"
	"viakv/api/kv"
)

// Cluster returns the status of the mesh, as the node that answers sees it.
func (c *Client) Cluster(ctx context.Context) (s document.Status, err error) {
	err = c.do(ctx, c.inquiry("/cluster"), decode(&s))
	return s, err
}

// Events returns the status of the mesh with the last n changes, 1 to 200, that the node that
// answers has seen. The newest is the last.
func (c *Client) Events(ctx context.Context, n int) (s document.Status, err error) {
	err = c.do(ctx, c.inquiry("/cluster", parameter{"events", strconv.Itoa(n)}), decode(&s))
	return s, err
}

// PlanJoin asks what one more member would do to the quorums. It changes nothing.
func (c *Client) PlanJoin(ctx context.Context) (p document.Plan, err error) {
	err = c.do(ctx, c.inquiry("/plan", parameter{"change", "join"}), decode(&p))
	return p, err
}

// PlanLeave asks what a member's leave would do to the quorums. It changes nothing.
func (c *Client) PlanLeave(ctx context.Context, node string) (p document.Plan, err error) {
	err = c.do(ctx, c.inquiry("/plan", parameter{"change", "leave"}, parameter{"node", node}), decode(&p))
	return p, err
}

// Join makes the node that answers a full member of the mesh that the peer (host:port) belongs to.
// It concerns one node, so the client should have one endpoint.
func (c *Client) Join(ctx context.Context, peer string) (j document.Joined, err error) {
	err = c.do(ctx, c.control("/join", parameter{"peer", peer}), decode(&j))
	return j, err
}

// Leave removes a member from the mesh. An empty name stands for the node that answers; the client
// should then have one endpoint. Force removes a member without a majority's consent; the report
// then says what may be lost.
func (c *Client) Leave(ctx context.Context, node string, force bool) (r document.Left, err error) {
	var ps []parameter
	if node != "" {
		ps = append(ps, parameter{"node", node})
	}
	if force {
		ps = append(ps, parameter{"force", "true"})
	}
	err = c.do(ctx, c.control("/leave", ps...), decode(&r))
	return r, err
}

// SetReads changes how the mesh answers reads. It may be asked of any member.
func (c *Client) SetReads(ctx context.Context, reads kv.Reads) (r document.Reads, err error) {
	err = c.do(ctx, c.control("/reads", parameter{"mode", string(reads)}), decode(&r))
	return r, err
}

// inquiry is a request that changes nothing and asks for no key.
func (c *Client) inquiry(path string, ps ...parameter) call {
	return call{path: path, parameters: ps, timeout: c.config.Timeout}
}

func (c *Client) control(path string, ps ...parameter) call {
	return call{path: path, parameters: ps, mutates: true, timeout: c.config.ControlTimeout}
}

// Live returns nil when the process answers.
func (c *Client) Live(ctx context.Context) error { return c.probe(ctx, "/livez") }

// Ready returns nil when the node that is asked serves, and otherwise the reason why it does not.
func (c *Client) Ready(ctx context.Context) error { return c.probe(ctx, "/readyz") }

// probe asks the preferred endpoint and no other: no other node can tell about its health.
func (c *Client) probe(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	e := c.endpoints[int(c.preferred.Load())%len(c.endpoints)]
	return e.do(ctx, c.inquiry(path), nil)
}

// Version asks for the program's version. It returns ErrNotViakv when something else answers.
func (c *Client) Version(ctx context.Context) (v document.Version, err error) {
	err = c.do(ctx, c.inquiry("/version"), decode(&v))
	if e, ok := errors.AsType[*Error](err); ok && e.Status != 0 && e.Kind == "" {
		e.Err = errors.Join(ErrNotViakv, e.Err)
	}
	return v, err
}

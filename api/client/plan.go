package client

import (
	"context"

	"viakv/api/document"
)

// PlanJoin asks what one more member would do to the quorums. It changes nothing.
func (c *Client) PlanJoin(ctx context.Context) (p document.Plan, err error) {
	err = c.do(ctx, call{path: "/plan", parameters: []parameter{{"change", "join"}}, timeout: c.config.Timeout}, decode(&p))
	return p, err
}

// PlanLeave asks what a member's leave would do to the quorums. It changes nothing.
func (c *Client) PlanLeave(ctx context.Context, node string) (p document.Plan, err error) {
	err = c.do(ctx, call{path: "/plan", parameters: []parameter{{"change", "leave"}, {"node", node}}, timeout: c.config.Timeout}, decode(&p))
	return p, err
}

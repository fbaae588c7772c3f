// Package advice says what to do about the errors of a store, in the words of the HTTP API and the
// server's flags. A store knows neither and says only what is the case. There is one table, so that
// an error gets the same advice in a problem document, in /cluster and in /plan.
package advice

import (
	"errors"

	"viakv/api/kv"
)

// table holds what to do about an error that a request to an endpoint ran into. An empty endpoint
// stands for any. The first row that matches counts. A wide error, such as kv.ErrQuorumLoss, has no
// row: what to do depends on its cause.
var table = []struct {
	err      error
	endpoint string
	do       string
}{
	// The rows about what became of a join precede those about what stopped it.
	{kv.ErrMayBeMember, "", "if its /cluster shows this node as a member, take it out there by /leave"},
	{kv.ErrJoinUnderWay, "", "/cluster shows how far it is"},

	{kv.ErrBadCursor, "", "start the scan anew"},
	{kv.ErrSnapshotMoved, "", "start the scan anew"},
	{kv.ErrCleared, "", "start the scan anew"},
	{kv.ErrTooFewReplicas, "", "/cluster shows who is reachable"},
	{kv.ErrContended, "", "read the key to find out"},
	{kv.ErrMemoryLimit, "/join", "raise --max-memory there, or remove keys first"},
	{kv.ErrMemoryLimit, "", "remove keys, clear, or raise --max-memory there"},

	{kv.ErrInMesh, "", "/leave it first to join another one"},
	{kv.ErrPeerSilent, "", "is it the peer address of a running node?"},
	{kv.ErrNodeUnreachable, "", "give this node an --advertise-peer at which every node reaches it"},
	{kv.ErrFull, "", "let a member leave first"},
	{kv.ErrLoneSeed, "", "name the other nodes, or give --expect 1 for a cluster of one"},

	{kv.ErrNoSuchNode, "/plan", "/cluster shows the members"},
	{kv.ErrLastMember, "", "/clear removes them, /join takes them into another mesh"},
	{kv.ErrWeakQuorums, "", "configure majorities, or allow weak quorums by --allow-weak-quorums"},
	{kv.ErrTooFewServe, "/leave", "wait until the others are back, or repeat with force=true and accept what that may lose"},
	{kv.ErrTooFewServe, "", "wait until the others are back"},
	{kv.ErrMovedOn, "", "look at /cluster, and repeat the leave if it is still wanted"},

	{kv.ErrNotMember, "", "/join lets it in again"},
	{kv.ErrTooFewCopies, "", "restart them if they kept their memory, or remove them with /leave?node=NAME&force=true"},
	{kv.ErrNotMesh, "/join", "start another one with the same --store"},
	{kv.ErrNotMesh, "/leave", "stop the process"},
	{kv.ErrNotMesh, "/reads", "the database's own settings say how consistent its reads are"},
}

// Add appends to a text what to do about an error that a request to an endpoint ran into. It
// returns the text as it is when there is no advice.
func Add(text string, err error, endpoint string) string {
	for _, row := range table {
		if (row.endpoint == "" || row.endpoint == endpoint) && errors.Is(err, row.err) {
			return text + "; " + row.do
		}
	}
	return text
}

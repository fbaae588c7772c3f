// Package discovery tells Envoy which nodes take traffic: the endpoint discovery service (EDS) of the xDS protocol, over REST, answered by every node
// from what it knows of its cluster. A node that joins is in the next answer, and one that leaves or falls is not, without a file being touched.
//
// E1. Only active members are listed. One that rebuilds, joins or is vacant has nothing to serve.
//
// E2. A node answers only while it is ready itself: one that has left, or is not in yet, knows another cluster than the clients'. Envoy keeps what
// it has when it is refused, and asks another node.
//
// E3. Answers never go back: the version begins with the cluster and its epoch, Envoy sends the one that it holds, and a node whose epoch is lower keeps
// silent (304). So a node that was cut off cannot bring a removed member back.
//
// E4. EDS takes only IP addresses, so the members' host names are resolved here and kept for a few seconds. Where resolving fails the last addresses
// stay; a member that never resolved is left out, and the answer is refused when that leaves nobody.
//
// Deliberately not here: the streaming (gRPC) form of the protocol, which would be a second server beside the API's for an answer that changes a few times a day;
// and health, which Envoy finds out by itself at /readyz, faster than any list can.
package discovery

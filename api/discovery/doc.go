// Package discovery tells Envoy which nodes take traffic. It is the endpoint discovery service
// (EDS) of the xDS protocol, over REST. Every node answers it from what it knows of its cluster. A
// node that joins is in the next answer, and one that leaves or falls is not, without a change of
// any file.
//
// E1. Only active members are listed. A member that rebuilds, joins or is vacant has nothing to
// serve.
//
// E2. A node answers only while it is ready itself. A node that has left its cluster, or has not
// joined it yet, knows another cluster than the one of the clients. When it refuses, Envoy keeps
// the list that it has and asks another node.
//
// E3. Answers never go back. The version begins with the cluster and its epoch, and Envoy sends the
// version that it holds. A node whose epoch is lower answers 304, with no list. So a node that was
// cut off cannot bring a removed member back.
//
// E4. EDS takes only IP addresses, so the members' host names are resolved here and kept for a few
// seconds. Where resolving fails, the last address stays. A member that never resolved is left out,
// and the answer is refused when no member is left.
//
// Two things are deliberately not here. The streaming (gRPC) form of the protocol would be a second
// server beside the API's, for an answer that changes a few times a day. Health is what Envoy finds
// out by itself at /readyz, faster than any list can tell it.
package discovery

// Package api serves a kv.Store over HTTP: routes, validation, streams, limits, access control and
// the error table.
//
// A1. Nothing reaches the store that kv's contract forbids. A parameter that is missing, repeated,
// badly encoded or too long is answered with 400 before the store is called (parameters.go).
//
// A2. A response is either complete or recognisably cut. Small answers carry their length, and
// streams are chunked. An error in mid-stream closes the connection without the last chunk
// (stream.go). HTTP/1.0 has no chunks; there a cut is a reset of the connection.
//
// A3. A 503 says whether anything happened. X-Viakv-Retriable is sent if and only if its outcome is
// none (errors.go).
//
// A4. The bytes of a request are borrowed from fasthttp until the handler returns. What outlives
// the handler (a hijacked stream, a log entry) is copied first. So are the pairs of a load, since
// its body is read on while they are stored.
//
// A5. get and set allocate nothing beyond what fasthttp does (alloc_test.go). What a request needs
// lives in a pooled exchange.
//
// A6. Every resource a client can hold is bounded: connections, requests in flight, scans, loads,
// header and body bytes, and the time for each read, each write and each wait (config.go). The body
// of a load has no bound, and a load holds two batches of it (load.go). A request beyond a bound
// gets a quick 503 that names the bound; it is never queued.
//
// A7. Labels of metrics come from the table of endpoints, never from a request. Logs never contain
// keys, values or tokens.
//
// A8. A request is refused, and its connection closed, if two readers could disagree about where it
// ends or which host it is for (head.go, target.go). The refusal comes before any of it is carried
// out. One function decides which host a request is for (authorityOf).
//
// A9. Nothing that a client or the system does ends the process. When no connection can be
// accepted, the listener waits and tries again (package listen). A fault of the program ends only
// the request or the connection that ran into it (server.go).
//
// A10. What is done is answered. From Drain on, every answer ends its connection. Once Shutdown has
// begun, no connection begins another request; a request of which something has been read is read
// to its end and answered (conn.go).
//
// A request passes, in this order: the limit of connections (gate.go), the checks of its head
// (head.go), its body (body.go) and the table of endpoints (routes.go). Then follow, in handler.go:
// the limit of requests in flight, method, host, origin, token, parameters, the endpoint's own
// function, error table and metrics.
//
// New starts no goroutine. Later there is one for each connection and each stream, and short ones
// for each connection that lingers or is turned away, and for each batch of a load. Shutdown waits
// for all of them.
//
// Not here: HTTP/2 (a proxy in front speaks it), rate limits per client, an audit log.
package api

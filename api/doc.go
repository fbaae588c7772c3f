// Package api serves a kv.Store over HTTP: routes, validation, streams, limits, access control and
// the error table.
//
// A1. Nothing reaches the store that kv's contract forbids: a parameter that is missing, repeated,
// badly encoded or too long is answered with 400 before the store is called (parameters.go).
//
// A2. A response is either complete or recognisably cut: small answers carry their length, streams
// are chunked, and an error in mid-stream closes the connection without the last chunk (stream.go).
// Only HTTP/1.0 has no chunks; there the cut is a reset.
//
// A3. A 503 says whether anything happened. X-Viakv-Retriable is sent if and only if its outcome is
// none (errors.go).
//
// A4. Bytes of a request are borrowed from fasthttp until the handler returns; what outlives it (a
// hijacked stream, a log entry) is copied first.
//
// A5. get and set allocate nothing beyond what fasthttp does (alloc_test.go). What a request needs
// lives in a pooled exchange.
//
// A6. Every resource a client can hold is bounded: connections, requests in flight, scans, header
// and body bytes, and the time for each read, each write and each wait (config.go). Going over a
// bound is a quick 503 that says so, never a queue.
//
// A7. Labels of metrics come from the table of endpoints, never from a request. Logs never contain
// keys, values or tokens.
//
// A8. A request whose end or host can be seen in two ways is refused before anything of it counts,
// and its connection is closed (head.go, target.go). The host that it is for is decided in one
// place (authorityOf).
//
// A9. Nothing that a client or the system does ends the process: what cannot be accepted is waited
// for (package listen), and a fault of the program ends the request or the connection that ran into
// it (server.go).
//
// A10. What is done is answered. From Drain on every answer ends its connection; once Shutdown has
// begun no connection begins another request, and what of one has been read is read to its end and
// answered (conn.go).
//
// Order of a request: limits, head, endpoint, method, host, origin, token, verb, error table,
// metrics (handler.go). New starts no goroutine; the only ones are one for each connection and each
// stream, and the short ones of lingering closes, and Shutdown waits for all of them.
//
// Not here: HTTP/2 (a proxy in front speaks it), rate limits per client, an audit log.
package api

// Package client is the Go client of viakv's HTTP API.
//
//	c, err := client.New(client.Config{
//		Endpoints: []string{"http://127.0.0.1:8081", "http://127.0.0.1:8082"},
//	})
//	...
//	defer c.Close()
//	_, err = c.Set(ctx, "color", "green")
//	value, err := c.Get(ctx, "color")
//	for pair, err := range c.All(ctx, client.ScanOptions{}) { ... }
//	stored, err := c.SetMany(ctx, maps.All(pairs))
//	values, err := c.GetMany(ctx, []string{"color", "size"})
//
// F1. A mutation is sent to a second endpoint only when it is certain that the first did nothing
// with it. That is so when the connection could not be made, or when the answer says outcome none
// and retriable. Otherwise a set that is sent again could bring an overwritten value back. Reads
// are sent to each endpoint in turn until one of them answers.
//
// F2. An error that is not about the arguments is an *Error, whose Outcome says whether a mutation
// may have taken effect. Errors are compared with errors.Is: ErrMissing and the other sentinels of
// package kv match.
//
// F3. A scan ends without an error only after the line that says how many pairs it had, and only if
// that many were seen.
//
// F4. Every call ends when its context does, and at the latest after the client's time-out; a
// stream's time-out is for each read. A connection whose answer was not read to its end is closed,
// never used again.
//
// F5. A Client is safe for concurrent use. A Conn, the pipelined connection for load generators,
// belongs to one sender and one receiver.
//
// F6. SetMany stores pairs in their order. It sends one request after the other, of at most 4096
// pairs and 256 KiB of keys and values, in which no key comes twice. A node stores that as one
// batch, so F1 and F4 hold for each request as they do for a set. The LoadError accounts for every
// pair: it is stored, or it is in Failed, or it is Next or comes after Next.
//
// F7. An answer that comes before a request's body is written counts. The rest of the body is then
// not sent, and the connection is closed unless the body was written as a whole.
//
// F8. GetMany returns values only when each answer had exactly the keys that were asked for, and
// their count.
//
// Requests are written by hand and answers are parsed by fasthttp. Its own HostClient is not used,
// because it repeats GET requests whose connection broke. In this API a GET may change state, so
// that would break F1.
package client

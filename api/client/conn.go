package client

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
)

// Conn is one connection on which requests are pipelined: many are sent before the first answer is
// read. It is for load generators, which count what an answer says and never repeat a request. All
// other callers should use a Client.
//
// One goroutine may append and flush while another receives. Two goroutines must not share either
// of these halves. Requests are GETs, mutations included. After an error the connection is of no
// more use, and every request that was not answered may have taken effect.
type Conn struct {
	wire    *wire
	headers string
	query   string // the options, as "&r=1"
}

// Connect opens a connection to the endpoint of that index, counted modulo the number of endpoints.
func (c *Client) Connect(ctx context.Context, endpoint int) (*Conn, error) {
	e := c.endpoints[endpoint%len(c.endpoints)]
	w, err := e.dial(ctx)
	if err != nil {
		return nil, e.unanswered(ctx, false, err)
	}
	conn := &Conn{wire: w, headers: " HTTP/1.1\r\n" + e.headers}
	for _, p := range c.options.quorums(nil) {
		conn.query += "&" + p.name + "=" + p.value
	}
	return conn, nil
}

// AppendGet queues a request to /get.
func (c *Conn) AppendGet(key []byte) { c.append("GET /get?k=", key) }

// AppendHas queues a request to /is.
func (c *Conn) AppendHas(key []byte) { c.append("GET /is?k=", key) }

// AppendRemove queues a request to /rm.
func (c *Conn) AppendRemove(key []byte) { c.append("GET /rm?k=", key) }

// AppendSet queues a request to /set.
func (c *Conn) AppendSet(key, value []byte) {
	out := append(c.wire.out, "GET /set?k="...)
	out = appendEscaped(out, key)
	out = append(out, "&v="...)
	c.wire.out = c.end(appendEscaped(out, value))
}

func (c *Conn) append(start string, key []byte) {
	c.wire.out = c.end(appendEscaped(append(c.wire.out, start...), key))
}

func (c *Conn) end(out []byte) []byte {
	out = append(out, c.query...)
	return append(out, c.headers...)
}

// Pending returns the number of bytes that are queued and not flushed.
func (c *Conn) Pending() int { return len(c.wire.out) }

// Flush sends what is queued.
func (c *Conn) Flush() error { return c.wire.flush() }

// Answer is the answer to a pipelined request.
type Answer struct {
	Status    int
	Body      []byte // valid until the next Receive
	Retriable bool   // a 503 after which nothing happened
}

// Receive reads the next answer. Answers come in the order of the requests.
func (c *Conn) Receive() (Answer, error) {
	if err := c.wire.receive(); err != nil {
		return Answer{}, err
	}
	r := &c.wire.response
	a := Answer{Status: r.StatusCode(), Body: r.Body()}
	a.Retriable = a.Status == fasthttp.StatusServiceUnavailable && retriable(r)
	return a, nil
}

// Buffered reports whether some bytes of the next answer have already arrived.
func (c *Conn) Buffered() bool { return c.wire.reader.Buffered() > 0 }

// SetDeadline ends a Receive or a Flush that blocks at that time. Zero: never.
func (c *Conn) SetDeadline(t time.Time) { _ = c.wire.conn.SetDeadline(t) }

// SetReadDeadline ends a Receive that blocks at that time. Zero: never.
func (c *Conn) SetReadDeadline(t time.Time) { _ = c.wire.conn.SetReadDeadline(t) }

// Close closes the connection.
func (c *Conn) Close() error { return c.wire.conn.Close() }

// SetWriteDeadline ends a Flush that blocks at that time. Zero: never.
func (c *Conn) SetWriteDeadline(t time.Time) { _ = c.wire.conn.SetWriteDeadline(t) }

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// together is a target whose connections send all gets of a flush as one request: those that a
// caller has under way. Each key has an answer of its own.
type together struct {
	runner.Target
	address string
	speaks  func() manyGets
}

// manyGets is a protocol that reads many keys by one request.
type manyGets interface {
	// append appends the request for keys.
	append(dst []byte, keys [][]byte) []byte
	// begin reads an answer up to its first key.
	begin(r *bufio.Reader) error
	// next reads what the answer says of a key that the request has named.
	next(r *bufio.Reader, key []byte) (runner.Answer, error)
	// end returns an error unless the answer has ended with its last key.
	end() error
}

// togetherAt returns targets that speak a protocol at the addresses of other targets.
func togetherAt(speaks func() manyGets, addresses []string, named []runner.Target) (all []runner.Target) {
	for i, address := range addresses {
		all = append(all, together{named[i], address, speaks})
	}
	return all
}

func speakGetMany() manyGets { return &getMany{found: map[string]string{}} }
func speakMGET() manyGets    { return new(mget) }

func (t together) Connect(ctx context.Context) (runner.Connection, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, err
	}
	return &manyConnection{Conn: c, speaks: t.speaks(), reader: bufio.NewReaderSize(c, 64<<10)}, nil
}

// manyConnection sends and receives in turns, as a closed loop does.
type manyConnection struct {
	net.Conn
	speaks manyGets
	reader *bufio.Reader
	out    []byte

	mu     sync.Mutex
	queued [][]byte
	sent   [][][]byte // the keys of each request that has no whole answer yet
	at     int        // how many keys of the first one have their answer
}

func (c *manyConnection) Append(_ workload.Kind, key, _ []byte) {
	c.queued = append(c.queued, bytes.Clone(key))
}

func (c *manyConnection) Flush() error {
	if len(c.queued) == 0 {
		return nil
	}
	c.out = c.speaks.append(c.out[:0], c.queued)
	c.mu.Lock()
	c.sent = append(c.sent, c.queued)
	c.mu.Unlock()
	c.queued = nil
	_, err := c.Write(c.out)
	return err
}

// Buffered reports whether an answer has further keys.
func (c *manyConnection) Buffered() bool { return c.at > 0 }

func (c *manyConnection) Receive() (a runner.Answer, err error) {
	if c.at == 0 {
		if err := c.speaks.begin(c.reader); err != nil {
			return a, err
		}
	}
	c.mu.Lock()
	keys := c.sent[0]
	c.mu.Unlock()
	if a, err = c.speaks.next(c.reader, keys[c.at]); err != nil {
		return a, err
	}
	if c.at++; c.at == len(keys) {
		c.mu.Lock()
		c.sent = c.sent[1:]
		c.mu.Unlock()
		c.at, err = 0, c.speaks.end()
	}
	return a, err
}

func (c *manyConnection) SetReadDeadline(t time.Time)  { _ = c.Conn.SetReadDeadline(t) }
func (c *manyConnection) SetWriteDeadline(t time.Time) { _ = c.Conn.SetWriteDeadline(t) }

// mget is the MGET of Redis, whose answer has each key as often as it was named.
type mget struct{ redisConnection }

func (m *mget) append(dst []byte, keys [][]byte) []byte {
	m.out = dst
	m.command("MGET", keys...)
	return m.out
}

func (m *mget) begin(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err == nil && line[0] != '*' {
		err = fmt.Errorf("no array: %q", line)
	}
	m.reader = r
	return err
}

func (m *mget) next(*bufio.Reader, []byte) (runner.Answer, error) {
	a, _, err := m.receive()
	return a, err
}

func (m *mget) end() error { return nil }

// getMany is the /getMany of viakv, whose answer has each key once. The keys and values that are
// measured have no character that JSON escapes.
type getMany struct {
	response fasthttp.Response
	rows     []byte            // those that were not read
	found    map[string]string // what the answer has said of keys, as JSON
}

func (g *getMany) append(dst []byte, keys [][]byte) []byte {
	size := 3 * len(keys)
	for _, key := range keys {
		size += len(key)
	}
	dst = append(dst, "POST /getMany HTTP/1.1\r\nHost: localhost\r\nContent-Length: "...)
	dst = append(strconv.AppendInt(dst, int64(size), 10), "\r\n\r\n"...)
	for _, key := range keys {
		dst = append(append(append(dst, '"'), key...), '"', '\n')
	}
	return dst
}

func (g *getMany) begin(r *bufio.Reader) error {
	if err := g.response.ReadLimitBody(r, 64<<20); err != nil {
		return err
	}
	if g.response.StatusCode() != http.StatusOK {
		return fmt.Errorf("%d %s", g.response.StatusCode(), g.response.Body())
	}
	clear(g.found)
	g.rows = bytes.TrimSuffix(bytes.TrimPrefix(g.response.Body(), []byte{'{'}), []byte("}\n"))
	return nil
}

func (g *getMany) next(_ *bufio.Reader, key []byte) (runner.Answer, error) {
	row, rest, _ := bytes.Cut(g.rows, []byte(",\n"))
	if len(row) > len(key)+3 && row[0] == '"' && bytes.HasPrefix(row[1:], key) && bytes.HasPrefix(row[1+len(key):], []byte(`":`)) {
		g.rows, g.found[string(key)] = rest, string(row[len(key)+3:])
	}
	said, there := g.found[string(key)] // by this row, or by an earlier one
	if !there {
		return runner.Answer{}, fmt.Errorf("the answer has %.80q where the key is %q", row, key)
	}
	if value, ok := strings.CutPrefix(said, `"`); ok {
		return runner.Answer{Outcome: runner.OK, Status: http.StatusOK, Value: []byte(strings.TrimSuffix(value, `"`))}, nil
	}
	return runner.Answer{Outcome: runner.Missing, Status: http.StatusOK}, nil
}

func (g *getMany) end() error {
	if len(g.rows) > 0 {
		return errors.New("the answer has other keys than the request")
	}
	return nil
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// redis speaks RESP directly, because its requests take less work than those of a driver.
type redis struct {
	name, address string
	// wait is the number of replicas that must have acknowledged a write before it counts. Zero:
	// Redis answers without waiting. Each write is followed by WAIT, in the same packet.
	wait    int
	timeout time.Duration // of WAIT
}

func (r redis) Name() string { return r.name }

func (r redis) Connect(ctx context.Context) (runner.Connection, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", r.address)
	if err != nil {
		return nil, err
	}
	return &redisConnection{Conn: c, wait: r.wait, timeout: r.timeout, reader: bufio.NewReaderSize(c, 16<<10)}, nil
}

type redisConnection struct {
	net.Conn
	wait    int
	timeout time.Duration
	reader  *bufio.Reader
	out     []byte
	value   []byte

	mu     sync.Mutex
	waited []bool // for each request without an answer: WAIT follows
}

func (c *redisConnection) Append(kind workload.Kind, key, value []byte) {
	switch kind {
	case workload.Set:
		c.command("SET", key, value)
	case workload.Has:
		c.command("EXISTS", key)
	case workload.Remove:
		c.command("DEL", key)
	default:
		c.command("GET", key)
	}
	if c.wait == 0 {
		return
	}
	write := kind == workload.Set || kind == workload.Remove
	if write {
		c.command("WAIT", strconv.AppendInt(nil, int64(c.wait), 10), strconv.AppendInt(nil, c.timeout.Milliseconds(), 10))
	}
	c.mu.Lock()
	c.waited = append(c.waited, write)
	c.mu.Unlock()
}

func (c *redisConnection) command(name string, arguments ...[]byte) {
	c.out = fmt.Appendf(c.out, "*%d\r\n$%d\r\n%s\r\n", 1+len(arguments), len(name), name)
	for _, a := range arguments {
		c.out = append(c.out, '$')
		c.out = strconv.AppendInt(c.out, int64(len(a)), 10)
		c.out = append(append(append(c.out, '\r', '\n'), a...), '\r', '\n')
	}
}

func (c *redisConnection) Flush() error {
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

func (c *redisConnection) Buffered() bool               { return c.reader.Buffered() > 0 }
func (c *redisConnection) SetReadDeadline(t time.Time)  { _ = c.Conn.SetReadDeadline(t) }
func (c *redisConnection) SetWriteDeadline(t time.Time) { _ = c.Conn.SetWriteDeadline(t) }

// Receive returns the answer to a request. A write that too few replicas have acknowledged in time
// has failed: it is at the primary, and may be lost with it.
func (c *redisConnection) Receive() (runner.Answer, error) {
	a, _, err := c.receive()
	if err != nil || c.wait == 0 {
		return a, err
	}
	c.mu.Lock()
	waited := false
	if len(c.waited) > 0 {
		waited = c.waited[0]
		c.waited = append(c.waited[:0], c.waited[1:]...)
	}
	c.mu.Unlock()
	if !waited {
		return a, nil
	}
	w, replicas, err := c.receive()
	if err != nil {
		return runner.Answer{}, err
	}
	if w.Outcome == runner.Failed || replicas < c.wait {
		return runner.Answer{}, nil
	}
	return a, nil
}

// receive reads a simple string, an error, an integer or a bulk string, because the commands answer
// with these only. EXISTS and DEL return a number of keys; 0 is "missing". WAIT returns a number of
// replicas.
func (c *redisConnection) receive() (a runner.Answer, number int, err error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return a, 0, err
	}
	if len(line) < 3 {
		return a, 0, errors.New("not RESP")
	}
	kind, rest := line[0], string(line[1:len(line)-2])
	switch kind {
	case '+':
		return runner.Answer{Outcome: runner.OK}, 0, nil
	case '-':
		return a, 0, nil
	case ':':
		if number, err = strconv.Atoi(rest); err != nil {
			return a, 0, fmt.Errorf("not RESP: number %q", rest)
		}
		return found(number != 0), number, nil
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n > 1<<20 {
			return a, 0, fmt.Errorf("not RESP: length %q", rest)
		}
		if n < 0 {
			return runner.Answer{Outcome: runner.Missing}, 0, nil
		}
		c.value = append(c.value[:0], make([]byte, n+2)...)
		if _, err := io.ReadFull(c.reader, c.value); err != nil {
			return a, 0, err
		}
		return runner.Answer{Outcome: runner.OK, Value: c.value[:n]}, 0, nil
	}
	return a, 0, fmt.Errorf("not RESP: %q", line)
}

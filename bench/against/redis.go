package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// redis speaks RESP directly, because its requests take less work than those of a driver.
type redis struct{ name, address string }

func (r redis) Name() string { return r.name }

func (r redis) Connect(ctx context.Context) (runner.Connection, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", r.address)
	if err != nil {
		return nil, err
	}
	return &redisConnection{Conn: c, reader: bufio.NewReaderSize(c, 16<<10)}, nil
}

type redisConnection struct {
	net.Conn
	reader *bufio.Reader
	out    []byte
	value  []byte
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

// Receive reads a simple string, an error, an integer or a bulk string, because the four commands
// answer with these only. EXISTS and DEL return a number of keys; 0 is "missing".
func (c *redisConnection) Receive() (runner.Answer, error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return runner.Answer{}, err
	}
	if len(line) < 3 {
		return runner.Answer{}, errors.New("not RESP")
	}
	kind, rest := line[0], string(line[1:len(line)-2])
	switch kind {
	case '+':
		return runner.Answer{Outcome: runner.OK}, nil
	case '-':
		return runner.Answer{}, nil
	case ':':
		if rest == "0" {
			return runner.Answer{Outcome: runner.Missing}, nil
		}
		return runner.Answer{Outcome: runner.OK}, nil
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n > 1<<20 {
			return runner.Answer{}, fmt.Errorf("not RESP: length %q", rest)
		}
		if n < 0 {
			return runner.Answer{Outcome: runner.Missing}, nil
		}
		c.value = append(c.value[:0], make([]byte, n+2)...)
		if _, err := io.ReadFull(c.reader, c.value); err != nil {
			return runner.Answer{}, err
		}
		return runner.Answer{Outcome: runner.OK, Value: c.value[:n]}, nil
	}
	return runner.Answer{}, fmt.Errorf("not RESP: %q", line)
}

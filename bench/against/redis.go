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

	"viakv/bench/target"
	"viakv/bench/workload"
)

// redis speaks RESP, which takes less than a driver would.
type redis struct{ name, address string }

func (r redis) Name() string { return r.name }

func (r redis) Connect(ctx context.Context) (target.Connection, error) {
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

// Receive reads a simple string, an error, an integer or a bulk string: all that the four commands answer with. EXISTS and DEL count keys; 0 is
// "missing".
func (c *redisConnection) Receive() (target.Answer, error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return target.Answer{}, err
	}
	if len(line) < 3 {
		return target.Answer{}, errors.New("not RESP")
	}
	kind, rest := line[0], string(line[1:len(line)-2])
	switch kind {
	case '+':
		return target.Answer{Result: target.OK}, nil
	case '-':
		return target.Answer{}, nil
	case ':':
		if rest == "0" {
			return target.Answer{Result: target.Missing}, nil
		}
		return target.Answer{Result: target.OK}, nil
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n > 1<<20 {
			return target.Answer{}, fmt.Errorf("not RESP: length %q", rest)
		}
		if n < 0 {
			return target.Answer{Result: target.Missing}, nil
		}
		c.value = append(c.value[:0], make([]byte, n+2)...)
		if _, err := io.ReadFull(c.reader, c.value); err != nil {
			return target.Answer{}, err
		}
		return target.Answer{Result: target.OK, Value: c.value[:n]}, nil
	}
	return target.Answer{}, fmt.Errorf("not RESP: %q", line)
}

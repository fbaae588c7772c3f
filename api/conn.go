package api

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// conn is a connection that a gate counts. It sets deadlines lazily. fasthttp asks for three with
// every request, and each costs a lock and a timer, although a busy connection hardly ever waits.
//
// A deadline that was asked for is armed by the next read or write. It is armed only if the
// deadline that is already armed would strike later, or earlier by more than the gate's slack. The
// slack is a fraction of the shortest time-out, so that the armed deadline is never in the past
// when a new time-out begins.
//
// Like the net.Conn of a server it has one reader and one writer at a time. Close may come from
// anywhere.
type conn struct {
	net.Conn
	gate   *gate
	ip     netip.Addr
	linger atomic.Int64 // how many bytes Close reads on for at most; 0: none; see drain
	closed atomic.Bool

	// between is true while no byte of a next request has been read and all answers have been
	// written. fasthttp reports this through state, in the goroutine that reads.
	between bool
	// inBody is true while a handler reads a body. It is of the goroutine that reads.
	inBody bool

	readBy, writeBy       time.Time // as fasthttp asked for
	readArmed, writeArmed time.Time
}

// deadlineSlack returns the slack for the shortest of a server's time-outs.
func deadlineSlack(shortest time.Duration) time.Duration { return min(time.Second, shortest/8) }

// stale reports whether the armed deadline cannot serve for the wanted one.
func stale(armed, wanted time.Time, slack time.Duration) bool {
	if armed.IsZero() || wanted.IsZero() {
		return armed.IsZero() != wanted.IsZero()
	}
	d := wanted.Sub(armed)
	return d > slack || d < 0
}

func (c *conn) SetDeadline(t time.Time) error {
	c.readBy, c.writeBy = t, t
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.readBy = t
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.writeBy = t
	return nil
}

// Read reads from the connection. Once the gate is closing, it ends a connection that is between
// two requests before it reads anything of the next: what is not read is not done. A request of
// which something has been read is read to its end, for lastTime at most.
//
// The end of a connection within a body is an error of its own. fasthttp would take it for the end
// of the body.
func (c *conn) Read(b []byte) (int, error) {
	by := c.readDeadline()
	if stale(c.readArmed, by, c.gate.slack) {
		if err := c.Conn.SetReadDeadline(by); err != nil {
			return 0, err
		}
		c.readArmed = by
	}
	for {
		// The order matters: the deadline is set first, then closing is read. The gate marks itself
		// as closing first, and then sets a deadline in the past.
		if c.between && c.gate.closing.Load() {
			c.linger.Store(lingerBytes)
			return 0, io.EOF
		}
		n, err := c.Conn.Read(b)
		if err == io.EOF && c.inBody {
			err = io.ErrUnexpectedEOF
		}
		if n > 0 || err == nil || !c.gate.closing.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if !c.between {
			by := c.readDeadline()
			if !time.Now().Before(by) {
				return n, err
			}
			// The deadline that struck was the gate's.
			if err := c.Conn.SetReadDeadline(by); err != nil {
				return 0, err
			}
			c.readArmed = by
		}
	}
}

// readDeadline returns the deadline that fasthttp asked for, or the closing gate's if that is
// earlier.
func (c *conn) readDeadline() time.Time {
	if c.gate.closing.Load() && (c.readBy.IsZero() || c.readBy.After(c.gate.lastBy)) {
		return c.gate.lastBy
	}
	return c.readBy
}

// state is fasthttp's hook for the states of a connection. fasthttp reads between two requests only
// after it has written all answers.
func state(nc net.Conn, s fasthttp.ConnState) {
	if s != fasthttp.StateActive && s != fasthttp.StateIdle {
		return
	}
	if c := connOf(nc); c != nil {
		c.between = s == fasthttp.StateIdle
	}
}

func (c *conn) Write(b []byte) (int, error) {
	if stale(c.writeArmed, c.writeBy, c.gate.slack) {
		if err := c.Conn.SetWriteDeadline(c.writeBy); err != nil {
			return 0, err
		}
		c.writeArmed = c.writeBy
	}
	return c.Conn.Write(b)
}

// Close closes the connection. With linger set, it does so in a goroutine that first reads on for a
// while.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	if n := c.linger.Load(); n > 0 {
		go c.drain(n) // until it ends, it counts among the open connections, which are bounded
		return nil
	}
	defer c.gate.leave(c) // deferred: the descriptor is free by then
	return c.Conn.Close()
}

// drain ends this side's direction and reads on, within bounds, until the client has ended its own.
// A side that closes with unread data resets the connection, and the client then loses what it has
// not read yet.
func (c *conn) drain(limit int64) {
	defer c.gate.leave(c)
	defer c.Conn.Close() //nolint:errcheck // nothing is left to be lost
	if half, ok := c.Conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	for until := time.Now().Add(lingerTime); c.Conn.SetReadDeadline(until) == nil; {
		_, err := io.CopyN(io.Discard, c.Conn, limit)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(until) {
			return
		} // else it was the gate's deadline
	}
}

// turnAway answers a connection without reading its request.
func (c *conn) turnAway(answer []byte) {
	c.closed.Store(true)
	tell := func() {
		if c.Conn.SetWriteDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = c.Conn.Write(answer)
		}
		c.drain(lingerBytes)
	}
	if !c.gate.answerOne(tell) {
		_ = c.Conn.Close()
	}
}

// abort closes with a reset where there is one. An HTTP/1.0 client reads until the end of the
// connection, and learns from the reset that the body is not complete.
func (c *conn) abort() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.linger.Store(0)
	_ = c.Close()
}

// secureConn is a conn with TLS around it.
type secureConn struct {
	*tls.Conn
	inner *conn
}

// Read reads from the connection. A client may end TLS before it ends the connection, so the conn
// below does not see that end; see conn.Read.
func (c *secureConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != io.EOF {
		return n, err
	}
	if n > 0 { // the next call finds the end again, within the body or not
		return n, nil
	}
	if c.inner.inBody {
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

// connOf returns the conn below the connections of fasthttp and TLS. It returns nil when there is
// none.
func connOf(c net.Conn) *conn {
	for {
		switch inner := c.(type) {
		case *conn:
			return inner
		case interface{ NetConn() net.Conn }:
			c = inner.NetConn()
		default:
			return nil
		}
	}
}

// rawResponse renders a problem for a connection that no server handles.
func rawResponse(p problem, headers string) []byte {
	body := p.append(nil)
	return append([]byte("HTTP/1.1 "+strconv.Itoa(p.status)+" "+fasthttp.StatusMessage(p.status)+"\r\nServer: viakv\r\n"+
		"Content-Type: "+problemType+"\r\nCache-Control: no-store\r\nConnection: close\r\n"+headers+
		"Content-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"), body...)
}

package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	readBuffer = 16 << 10
	// maxBody bounds what the client holds of an ordinary answer, in bytes. Scans are streams and
	// have no bound.
	maxBody = 16 << 20
)

// wire is one connection to an endpoint.
type wire struct {
	conn     net.Conn
	reader   *bufio.Reader
	out      []byte // requests not sent yet
	response fasthttp.Response
	lastUse  time.Time
	posting  chan error // gets what the writing of a body has ended with; nil: none is written
}

func (e *endpoint) dial(ctx context.Context) (*wire, error) {
	dialer := net.Dialer{Timeout: e.config.DialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", e.address)
	if err != nil {
		return nil, err
	}
	if e.tls != nil {
		secure := tls.Client(conn, e.tls)
		handshake, cancel := context.WithTimeout(ctx, e.config.DialTimeout)
		defer cancel()
		if err := secure.HandshakeContext(handshake); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = secure
	}
	return &wire{conn: conn, reader: bufio.NewReaderSize(conn, readBuffer)}, nil
}

// flush sends what was appended to out.
func (w *wire) flush() error {
	_, err := w.conn.Write(w.out)
	w.out = w.out[:0]
	return err
}

// post begins to send what was appended to out, and a body behind it. The other side may answer
// before it has read the body, and then reads no more of it. So the body is written beside the
// reading of the answer. The caller calls posted before it lets go of the body.
func (w *wire) post(body []byte) {
	w.posting = make(chan error, 1)
	go func() {
		_, err := (&net.Buffers{w.out, body}).WriteTo(w.conn)
		w.posting <- err
	}()
}

// posted waits until no body is written any more, and reports whether it was written as a whole. It
// ends the writing now unless it is to wait for its end.
func (w *wire) posted(wait bool) (whole bool) {
	if w.posting == nil {
		return true
	}
	if !wait {
		_ = w.conn.SetWriteDeadline(longAgo)
	}
	err := <-w.posting
	w.posting = nil
	return err == nil
}

// receive reads one answer into w.response, with its whole body.
func (w *wire) receive() error {
	w.response.StreamBody = false
	err := w.response.ReadLimitBody(w.reader, maxBody)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// guard makes the connection's reads and writes fail when ctx ends. The function that it returns
// ends this. That function returns false when the connection may have been cut and must not be used
// again.
func (w *wire) guard(ctx context.Context) (release func() bool) {
	deadline, _ := ctx.Deadline()
	_ = w.conn.SetDeadline(deadline)
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() { _ = w.conn.SetDeadline(longAgo) })
}

var longAgo = time.Unix(1, 0)

package api

import (
	"errors"
	"net"
	"runtime/debug"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

// stream is a scan whose answer is being sent. It owns the connection, and closes it at the end:
// fasthttp does not take back a connection that was hijacked.
type stream struct {
	*scan
	server  *Server
	metrics *endpointMetrics
	fields  []zap.Field
	start   time.Time
	header  []byte
	head    bool // a HEAD request: headers only
	writer  chunkWriter
}

// stream takes the connection over and goes on with the scan there, at the pace of the client.
// fasthttp copies every body that it is given as a stream several times through small buffers.
// Chunks written to the connection itself are five times as fast (docs/performance.md).
func (x *exchange) stream(c *scan) {
	ctx := x.ctx
	response := &ctx.Response.Header
	if c.coding != identity {
		response.SetContentEncoding(c.coding.String())
	}
	response.SetConnectionClose()
	chunked := ctx.Request.Header.IsHTTP11()
	if chunked {
		response.SetContentLength(-1)
	} else {
		response.SetContentLength(-2)
	}
	t := &stream{
		scan: c, server: x.server, metrics: x.metrics, fields: x.fields(), start: x.start, head: ctx.IsHead(),
		header: append([]byte(nil), response.Header()...),
		writer: chunkWriter{timeout: x.server.config.WriteTimeout, chunked: chunked},
	}
	x.detached = true
	x.server.streams.Add(1)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(t.run)
}

// run runs in the hijacked connection's goroutine. It closes the connection in every case.
func (t *stream) run(c net.Conn) {
	defer t.server.streams.Done()
	defer t.close()
	defer t.observe()
	defer func() {
		if cause := recover(); cause != nil {
			t.server.metrics.panics.Inc()
			t.cut(c, cutByServer)
			t.server.log.Error("panic in a stream", append(t.fields, zap.Any("cause", cause), zap.ByteString("stack", debug.Stack()))...)
		}
	}()
	t.writer.conn = c
	err := t.send()
	switch {
	case err == nil:
		_ = unhijack(c).Close()
	case errors.Is(err, errStreamWrite):
		t.cut(c, cutByClient)
		t.server.log.Info("a client left its stream, or took nothing for too long", append(t.fields, zap.Error(err))...)
	default:
		t.cut(c, cutByServer)
		t.server.log.Warn("a stream was cut", append(t.fields, zap.Error(err))...)
	}
}

// send writes the headers and the body.
func (t *stream) send() error {
	if err := t.writer.write(t.header); err != nil || t.head {
		return err
	}
	if t.coding == identity {
		return t.pump(func(last bool) error {
			err := t.writer.send(t.buffer, last)
			t.buffer = t.buffer[:chunkHead]
			return err
		})
	}
	scratch := scanBuffers.Get().(*[]byte)
	defer scanBuffers.Put(scratch)
	out := &chunkBuffer{writer: &t.writer, buffer: (*scratch)[:chunkHead]}
	e, err := acquireEncoder(t.coding, out)
	if err != nil {
		return err
	}
	defer releaseEncoder(t.coding, e)
	return t.pump(func(last bool) error {
		_, err := e.Write(t.buffer[chunkHead:])
		t.buffer = t.buffer[:chunkHead]
		if err != nil || !last {
			return err
		}
		if err := e.Close(); err != nil {
			return err
		}
		return out.flush(true)
	})
}

// pump flushes the buffer whenever it is full, until the scan has ended.
func (t *stream) pump(flush func(last bool) error) error {
	for {
		if err := flush(false); err != nil {
			return err
		}
		complete, _, err := t.fill(streamBuffer)
		if err != nil {
			return err
		}
		if complete {
			t.buffer = t.rows.end(t.buffer, "")
			return flush(true)
		}
	}
}

// cut ends the connection so that the client can tell: without the last chunk, or with a reset
// where there are no chunks.
func (t *stream) cut(c net.Conn, by string) {
	t.server.metrics.cut.WithLabelValues(by).Inc()
	if inner := connOf(unhijack(c)); inner != nil && !t.writer.chunked {
		inner.abort()
		return
	}
	_ = unhijack(c).Close()
}

// unhijack returns the connection below fasthttp's wrapper. Close does nothing on the wrapper.
func unhijack(c net.Conn) net.Conn {
	if h, ok := c.(interface{ UnsafeConn() net.Conn }); ok {
		return h.UnsafeConn()
	}
	return c
}

func (t *stream) observe() {
	t.metrics.observe(fasthttp.StatusOK, time.Since(t.start), int(t.writer.sent))
	t.server.metrics.pairs.Add(float64(t.rows.count))
	t.server.config.Logger.Debug("request", append(t.fields, zap.Int("status", fasthttp.StatusOK), zap.Int("pairs", t.rows.count),
		zap.Duration("took", time.Since(t.start)))...)
}

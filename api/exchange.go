package api

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// exchange is one request and what is needed to answer it. It is pooled; nothing of it may be kept
// beyond the handler (A4).
type exchange struct {
	server   *Server
	ctx      *fasthttp.RequestCtx
	endpoint *endpoint
	metrics  *endpointMetrics
	start    time.Time
	detached bool // a stream took over: it counts and logs the request

	tokenName string // the name of the request's token; empty: none was needed
	id        []byte // request id, in idBuffer
	trace     kv.Trace

	parameters  parameters
	body        []byte // scratch for values and responses
	idBuffer    [maxRequestID]byte
	traceBuffer [kv.TraceSize]byte
	keyBuffer   [kv.MaxKeyBytes]byte
	valueBuffer [kv.MaxValueBytes]byte
}

func (x *exchange) begin(s *Server, ctx *fasthttp.RequestCtx, e *endpoint, m *endpointMetrics) {
	x.server, x.ctx, x.endpoint, x.metrics, x.start, x.detached, x.tokenName = s, ctx, e, m, ctx.Time(), false, ""
	x.parameters.reset()
}

// fields returns the log fields that identify the request.
func (x *exchange) fields() []zap.Field {
	f := []zap.Field{
		zap.String("endpoint", x.endpoint.path),
		zap.ByteString("request", append([]byte(nil), x.id...)),
		zap.Stringer("client", x.ctx.RemoteAddr()),
	}
	if !x.trace.IsZero() {
		f = append(f, zap.Stringer("traceparent", x.trace))
	}
	return f
}

// done answers a mutation or a test that succeeded. The answer is a line for people, or the key and
// its version as JSON for programs.
func (x *exchange) done(key []byte, tag version.Tag) {
	if !x.wantsJSON() {
		x.ok()
		return
	}
	b := append(x.body[:0], `{"key":`...)
	b = appendJSON(b, key)
	b = append(b, `,"version":"`...)
	b = appendTag(b, tag)
	b = append(b, '"', '}', '\n')
	x.json(b)
}

// ok answers success in plain text.
func (x *exchange) ok() {
	x.ctx.SetContentType(textType)
	x.ctx.SetBodyString("OK\n")
}

// json answers with a document that was built in the exchange's scratch memory.
func (x *exchange) json(document []byte) {
	x.ctx.SetContentType(jsonType)
	x.ctx.SetBody(document)
	if cap(document) <= maxScratch {
		x.body = document[:0]
	}
}

// document answers with a value's JSON, one field a line.
func (x *exchange) document(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("api: encoding the answer: %w", err)
	}
	x.json(append(b, '\n'))
	return nil
}

// maxScratch bounds the scratch memory that a pooled exchange keeps, in bytes.
const maxScratch = 8 << 10

const (
	textType   = "text/plain; charset=utf-8"
	jsonType   = "application/json"
	ndjsonType = "application/x-ndjson"
)

const maxRequestID = 64

var (
	headerRequestID   = []byte("X-Request-Id")
	headerTraceparent = []byte("Traceparent")
)

// identify takes over the client's request id and trace, or makes an id. An id that is longer than
// maxRequestID, or has characters that validRequestID does not allow, is replaced: it would go into
// logs and headers.
func (x *exchange) identify() {
	header := &x.ctx.Request.Header
	x.trace = kv.Trace{}
	if t := header.PeekCanonical(headerTraceparent); len(t) > 0 {
		x.trace, _ = kv.ParseTrace(t)
	}
	if id := header.PeekCanonical(headerRequestID); len(id) > 0 && len(id) <= maxRequestID && validRequestID(id) {
		x.id = append(x.idBuffer[:0], id...)
	} else {
		x.id = x.server.appendRequestID(x.idBuffer[:0])
	}
	x.echo()
}

// echo puts the request id, and the trace if there is one, into the response.
func (x *exchange) echo() {
	x.ctx.Response.Header.SetCanonical(headerRequestID, x.id)
	if !x.trace.IsZero() {
		x.ctx.Response.Header.SetCanonical(headerTraceparent, x.trace.Append(x.traceBuffer[:0]))
	}
}

// appendRequestID appends a new id: eight hexadecimal digits of the process, then ten of the
// request.
func (s *Server) appendRequestID(dst []byte) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], s.requests.Add(1))
	dst = append(dst, s.idPrefix...)
	return hex.AppendEncode(dst, b[3:])
}

func validRequestID(id []byte) bool {
	for _, c := range id {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=', c == '~', c == '@':
		default:
			return false
		}
	}
	return true
}

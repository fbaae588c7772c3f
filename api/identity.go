package api

import (
	"encoding/binary"
	"encoding/hex"

	"viakv/api/kv"
)

const maxRequestID = 64

var (
	headerRequestID   = []byte("X-Request-Id")
	headerTraceparent = []byte("Traceparent")
)

// identify takes the client's request id and trace over, or makes an id. An id with other characters than those below, or longer than
// maxRequestID, is replaced: it would go into logs and headers.
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

// echo puts both into the response.
func (x *exchange) echo() {
	x.ctx.Response.Header.SetCanonical(headerRequestID, x.id)
	if !x.trace.IsZero() {
		x.ctx.Response.Header.SetCanonical(headerTraceparent, x.trace.Append(x.traceBuffer[:0]))
	}
}

// appendRequestID makes an id: eight digits of the process, ten of the request.
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

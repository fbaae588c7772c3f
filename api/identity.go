package api

import (
	"encoding/binary"
	"encoding/hex"
)

const (
	maxRequestID    = 64
	traceparentSize = 55 // version 00: 2 + 1 + 32 + 1 + 16 + 1 + 2
)

var (
	headerRequestID   = []byte("X-Request-Id")
	headerTraceparent = []byte("Traceparent")
)

// identify takes the client's request id and trace over, or makes an id. An id with other characters than those below, or longer than
// maxRequestID, is replaced: it would go into logs and headers.
func (x *exchange) identify() {
	header := &x.ctx.Request.Header
	x.trace = x.traceBuffer[:0]
	if t := header.PeekCanonical(headerTraceparent); len(t) == traceparentSize && validTraceparent(t) {
		x.trace = append(x.trace, t...)
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
	if len(x.trace) > 0 {
		x.ctx.Response.Header.SetCanonical(headerTraceparent, x.trace)
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

// validTraceparent checks the form of W3C Trace Context, version 00.
func validTraceparent(t []byte) bool {
	if t[0] != '0' || t[1] != '0' || t[2] != '-' || t[35] != '-' || t[52] != '-' {
		return false
	}
	return lowerHex(t[3:35]) && lowerHex(t[36:52]) && lowerHex(t[53:55]) && !zeros(t[3:35]) && !zeros(t[36:52])
}

func lowerHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != '0' {
			return false
		}
	}
	return true
}

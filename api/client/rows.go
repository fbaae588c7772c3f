package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"time"
)

var (
	keyPrefix   = []byte(`{"key":"`)
	valueMiddle = []byte(`","value":"`)
)

// text decodes a JSON string. A string without an escape is returned as a part of the line.
func (s *Scanner) text(line []byte) ([]byte, bool) {
	n := len(line)
	if n < 2 || line[0] != '"' || line[n-1] != '"' {
		return nil, false
	}
	if bytes.IndexByte(line, '\\') < 0 {
		inner := line[1 : n-1]
		return inner, bytes.IndexByte(inner, '"') < 0
	}
	var text string
	if json.Unmarshal(line, &text) != nil {
		return nil, false
	}
	from := len(s.scratch)
	s.scratch = append(s.scratch, text...)
	return s.scratch[from:], true
}

// readPair decodes {"key":"…","value":"…"}. The server writes it in exactly this form, so no JSON
// decoder is needed where there is no escape. Of a value that is null it returns nil. What it
// decodes may lie in scratch.
func readPair(line []byte, scratch *[]byte) (key, value []byte, ok bool) {
	if bytes.HasPrefix(line, keyPrefix) && bytes.IndexByte(line, '\\') < 0 && bytes.HasSuffix(line, []byte(`"}`)) {
		rest := line[len(keyPrefix) : len(line)-2]
		if i := bytes.IndexByte(rest, '"'); i >= 0 && bytes.HasPrefix(rest[i:], valueMiddle) {
			key, value = rest[:i], rest[i+len(valueMiddle):]
			return key, value, bytes.IndexByte(value, '"') < 0
		}
	}
	var p struct{ Key, Value *string }
	if json.Unmarshal(line, &p) != nil || p.Key == nil {
		return nil, nil, false
	}
	if p.Value == nil {
		return []byte(*p.Key), nil, true
	}
	*scratch = append(append((*scratch)[:0], *p.Key...), *p.Value...)
	return (*scratch)[:len(*p.Key)], (*scratch)[len(*p.Key):], true
}

// timedReader gives each read of a stream a time-out of its own (F4). The end of the context still
// counts.
type timedReader struct {
	reader  io.Reader
	wire    *wire
	timeout time.Duration
	ctx     context.Context
}

func (r *timedReader) Read(p []byte) (int, error) {
	deadline := time.Now().Add(r.timeout)
	if d, ok := r.ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	_ = r.wire.conn.SetReadDeadline(deadline)
	// The context is looked at after the deadline is set, which may have overwritten that of the
	// guard.
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.reader.Read(p)
}

package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
)

// Kind is what a scan delivers.
type Kind uint8

// The kinds of scans.
const (
	ScanAll Kind = iota
	ScanKeys
	ScanValues
)

var scanPaths = [...]string{"/getAll", "/getKeys", "/getValues"}

// ScanOptions are those of one scan.
type ScanOptions struct {
	// Prefix is what keys must begin with. Empty: all keys.
	Prefix string
	// PageSize, if above zero, fetches pages of that many pairs instead of one stream. Each page is
	// a request of its own, and another node may answer it. A page that one endpoint refuses is
	// asked for at the next. Zero: one stream.
	PageSize int
	// Cursor is where to resume; see Scanner.Cursor. Empty: from the beginning.
	Cursor string
	// Snapshot makes the scan fail with kv.ErrSnapshotMoved at its end unless the result was one
	// atomic state.
	Snapshot bool
}

// Scanner walks over the pairs of a store. It is not safe for concurrent use.
//
//	for s.Next() { use s.Key() and s.Value() }
//	err := s.Err()
type Scanner struct {
	client *Client
	ctx    context.Context
	kind   Kind
	o      ScanOptions
	wire   *wire
	at     *endpoint
	guard  func() bool
	lines  *bufio.Reader
	long   []byte // a line that did not fit the reader's buffer

	key, value []byte
	scratch    []byte
	count      int64 // pairs delivered
	page       int64 // of these, those of the current answer
	bytes      int64
	cursor     string
	ended      bool
	err        error
}

// Scan begins a walk. Close must be called unless Next has returned false.
func (c *Client) Scan(ctx context.Context, kind Kind, o ScanOptions) *Scanner {
	s := &Scanner{client: c, ctx: ctx, kind: kind, o: o, cursor: o.Cursor}
	s.err = s.open()
	return s
}

// Next goes to the next pair. It returns false at the end and after an error.
func (s *Scanner) Next() bool {
	for s.err == nil && !s.ended {
		line, err := s.line()
		if err != nil {
			s.fail(err)
			return false
		}
		s.bytes += int64(len(line)) + 1
		last, err := s.parse(line)
		switch {
		case err != nil:
			s.fail(err)
			return false
		case !last:
			s.count++
			s.page++
			return true
		}
		if err := s.finish(); err != nil {
			s.fail(err)
			return false
		}
		if s.o.PageSize == 0 || s.cursor == "" {
			s.ended = true
			return false
		}
		s.err = s.open()
	}
	return false
}

// Key returns the key of the current pair. It is valid until the next call of Next, and nil in a
// scan of values.
func (s *Scanner) Key() []byte { return s.key }

// Value returns the value of the current pair. It is valid until the next call of Next, and nil in
// a scan of keys.
func (s *Scanner) Value() []byte { return s.value }

// Count returns the number of pairs delivered so far.
func (s *Scanner) Count() int64 { return s.count }

// Bytes returns the number of bytes of the lines received so far.
func (s *Scanner) Bytes() int64 { return s.bytes }

// Cursor returns where a scan resumes after the last whole page. It is empty at the beginning and
// at the end. A scan that resumes there delivers the pairs of the current page again.
func (s *Scanner) Cursor() string { return s.cursor }

// Err returns why Next returned false. It is nil when everything was delivered (F3).
func (s *Scanner) Err() error { return s.err }

// Close ends the scan, wherever it stands.
func (s *Scanner) Close() {
	if s.wire != nil {
		s.guard()
		_ = s.wire.conn.Close()
		s.wire = nil
	}
	s.ended = true
}

// fail ends the scan with an error. A connection that ended early is a cut, whatever the reason.
func (s *Scanner) fail(err error) {
	if _, known := errors.AsType[*Error](err); !known {
		err = &Error{Endpoint: s.at.name, Outcome: kv.None, Retriable: true, Err: fmt.Errorf("%w after %d pairs: %w", ErrCut, s.count, cause(s.ctx, err))}
	}
	s.err = err
	s.Close()
}

// open sends the request for the scan, or for its next page, to the endpoints in turn.
func (s *Scanner) open() error {
	c := s.client
	k := c.data(scanPaths[s.kind], false, parameter{"format", "ndjson"})
	add := func(name, value string) { k.parameters = append(k.parameters, parameter{name, value}) }
	if s.o.Prefix != "" {
		add("prefix", s.o.Prefix)
	}
	if s.o.Snapshot {
		add("snapshot", "true")
	}
	if s.o.PageSize > 0 {
		add("limit", strconv.Itoa(s.o.PageSize))
	}
	if s.cursor != "" {
		add("cursor", s.cursor)
	}
	s.page = 0
	first := int(c.preferred.Load())
	var err error
	for i := range c.endpoints {
		if err = s.openAt(c.endpoints[(first+i)%len(c.endpoints)], k); err == nil {
			return nil
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || s.ctx.Err() != nil || !elsewhere(e, false) {
			break
		}
	}
	return err
}

func (s *Scanner) openAt(e *endpoint, k call) error {
	ctx, cancel := context.WithTimeout(s.ctx, k.timeout)
	defer cancel()
	w, err := e.send(ctx, k)
	if err != nil {
		return err
	}
	guard := w.guard(ctx)
	w.response.StreamBody = true
	if err = w.response.Read(w.reader); err == nil && w.response.StatusCode() != fasthttp.StatusOK {
		err = w.problem(e)
	}
	if intact := guard(); err != nil || !intact {
		_ = w.conn.Close()
		if _, known := errors.AsType[*Error](err); known {
			return err
		}
		return e.unanswered(ctx, false, err)
	}
	s.wire, s.at = w, e
	s.guard = w.guard(s.ctx)
	body := &timedReader{reader: w.response.BodyStream(), wire: w, timeout: k.timeout, ctx: s.ctx}
	if s.lines == nil {
		s.lines = bufio.NewReaderSize(body, 64<<10)
	} else {
		s.lines.Reset(body)
	}
	return nil
}

// problem returns the error of a scan that did not begin.
func (w *wire) problem(e *endpoint) error {
	body, err := io.ReadAll(io.LimitReader(w.response.BodyStream(), maxBody))
	if err != nil {
		return err
	}
	var whole fasthttp.Response
	w.response.Header.CopyTo(&whole.Header)
	whole.SetBody(body)
	return newError(e.name, false, &whole)
}

// line returns the next line without its line end.
func (s *Scanner) line() ([]byte, error) {
	line, err := s.lines.ReadSlice('\n')
	if err == nil {
		return line[:len(line)-1], nil
	}
	s.long = append(s.long[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) && len(s.long) < maxBody {
		line, err = s.lines.ReadSlice('\n')
		s.long = append(s.long, line...)
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return s.long[:len(s.long)-1], nil
}

var endPrefix = []byte(`{"end":`)

// parse reads a line, which is a pair or the last line.
func (s *Scanner) parse(line []byte) (last bool, err error) {
	if bytes.HasPrefix(line, endPrefix) {
		var end struct {
			End    bool
			Count  int64
			Cursor string
		}
		if err := json.Unmarshal(line, &end); err != nil || !end.End {
			return false, fmt.Errorf("%w: last line %s", ErrNotViakv, shorten(string(line)))
		}
		if end.Count != s.page {
			return false, fmt.Errorf("the last line counts %d pairs, and %d arrived", end.Count, s.page)
		}
		s.cursor = end.Cursor
		return true, nil
	}
	s.scratch = s.scratch[:0]
	var ok bool
	switch s.kind {
	case ScanKeys:
		s.key, ok = s.text(line)
	case ScanValues:
		s.value, ok = s.text(line)
	default:
		s.key, s.value, ok = readPair(line, &s.scratch)
		ok = ok && s.value != nil
	}
	if !ok {
		return false, fmt.Errorf("%w: line %s", ErrNotViakv, shorten(string(line)))
	}
	return false, nil
}

// finish ends an answer that was read to its last line, and keeps the connection for later if
// possible.
func (s *Scanner) finish() error {
	if _, err := s.lines.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more after the last line (%w)", ErrNotViakv, err)
	}
	w := s.wire
	s.wire = nil
	_ = w.response.CloseBodyStream()
	s.at.release(w, s.guard())
	return nil
}

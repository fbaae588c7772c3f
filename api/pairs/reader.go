package pairs

import (
	"bytes"
	"fmt"
	"io"

	"viakv/api/kv"
)

// Format is how pairs are written.
type Format uint8

const (
	// NDJSON is a line for each pair, and perhaps a last line that counts them:
	//
	//	{"key":"color","value":"green"}
	//	{"end":true,"count":1}
	//
	// Blank lines and further members of the lines are skipped.
	NDJSON Format = iota
	// Object is one JSON object. The names of its members are the keys:
	//
	//	{"color":"green"}
	Object
	// Keys is keys without their values, as lines or as one JSON array. The lines are JSON strings,
	// or pairs as those of NDJSON, and perhaps a last line that counts them:
	//
	//	"color"
	//	["color"]
	Keys
)

// bufferSize bounds a line of NDJSON, and a key or a value of an object. It is far above the length
// of the longest pair with any escaping.
const bufferSize = 64 << 10

// emptyReads is how often a stream may deliver neither bytes nor an error, one time after another.
const emptyReads = 100

// Reader reads pairs. It is not safe for concurrent use.
type Reader struct {
	in         io.Reader
	format     Format
	buffer     []byte
	start, end int   // what of the buffer is read from the stream and not used yet
	stream     error // what the stream has ended with; nil: it has not ended

	key, value []byte
	line       int64
	pairs      int64
	begun      bool // the start of the stream was looked at
	opened     bool // the opening bracket of the object or the array was read
	array      bool // the keys are an array
	ended      bool
	err        error

	slow    bool // for tests: do without the fast path
	keyRoom [kv.MaxKeyBytes]byte
}

// NewReader returns a reader of pairs in a format.
func NewReader(in io.Reader, f Format) *Reader {
	r := new(Reader)
	r.Reset(in, f)
	return r
}

// Reset makes the reader read another stream from its start. It keeps the buffer, and makes one for
// a new Reader.
func (r *Reader) Reset(in io.Reader, f Format) {
	buffer := r.buffer
	if buffer == nil {
		buffer = make([]byte, bufferSize)
	}
	*r = Reader{in: in, format: f, buffer: buffer, slow: r.slow}
}

// Next goes to the next pair. It returns false at the end or after an error. With the last pair
// read, it reads the stream to its end.
func (r *Reader) Next() bool {
	r.key, r.value = nil, nil
	if r.err != nil || !r.begun && !r.begin() {
		return false
	}
	switch {
	case r.format == Object:
		return r.nextOfObject()
	case r.array:
		return r.nextOfArray()
	case r.format == Keys:
		return r.nextKey()
	}
	return r.nextLine()
}

// Key returns the pair's key. It is valid until the next call of Next.
func (r *Reader) Key() []byte { return r.key }

// Value returns the pair's value. It is valid until the next call of Next.
func (r *Reader) Value() []byte { return r.value }

// Line returns the number of the line that was read last, from 1. For an object or an array it
// returns the number of the pair or of the key.
func (r *Reader) Line() int64 { return r.line }

// Pairs returns how many pairs were read.
func (r *Reader) Pairs() int64 { return r.pairs }

// Ended reports whether the end was read that the format has: the line that counts the pairs, or
// the closing bracket of an object or an array. One without it is an error, and lines without an
// end are none.
func (r *Reader) Ended() bool { return r.ended }

// Err returns what Next has failed with. It returns nil at a clean end.
func (r *Reader) Err() error { return r.err }

// begin looks at the first bytes for what is no UTF-8 text, and skips a byte order mark.
func (r *Reader) begin() bool {
	r.begun = true
	for r.end < 4 && r.fill() {
	}
	head := r.buffer[:min(r.end, 4)]
	starts := func(s string) bool { return bytes.HasPrefix(head, []byte(s)) }
	fault := ""
	switch {
	case starts("\xef\xbb\xbf"):
		r.start = 3
	case starts("\x1f\x8b"):
		fault = fmt.Sprintf(compressed, "gzip")
	case starts("\x28\xb5\x2f\xfd"):
		fault = fmt.Sprintf(compressed, "zstd")
	case starts("\xff\xfe"), starts("\xfe\xff"), bytes.IndexByte(head, 0) >= 0:
		fault = wideText
	}
	if fault == "" {
		r.array = r.format == Keys && r.opensArray()
		return true
	}
	r.line++
	return r.fail(fault)
}

// opensArray reports whether what follows white space opens an array. It takes nothing.
func (r *Reader) opensArray() bool {
	for {
		if rest := bytes.TrimLeft(r.rest(), space); len(rest) > 0 {
			return rest[0] == '['
		}
		if !r.fill() {
			return false
		}
	}
}

// fill reads more from the stream, behind what is not used yet. It returns false when the buffer is
// full, or when the stream has ended. Slices of the buffer are not valid any more afterwards.
func (r *Reader) fill() bool {
	if r.stream != nil {
		return false
	}
	if r.start > 0 {
		r.end = copy(r.buffer, r.buffer[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buffer) {
		return false
	}
	for range emptyReads {
		n, err := r.in.Read(r.buffer[r.end:])
		r.end += n
		r.stream = err
		if n > 0 || err != nil {
			return n > 0
		}
	}
	r.stream = io.ErrNoProgress
	return false
}

// rest returns what is in the buffer and not used yet.
func (r *Reader) rest() []byte { return r.buffer[r.start:r.end] }

// found notes a pair, unless it is beyond the limits.
func (r *Reader) found(key, value []byte) bool {
	if fault := beyondLimits(key, value); fault != "" {
		return r.fail(fault)
	}
	r.key, r.value = key, value
	r.pairs++
	return true
}

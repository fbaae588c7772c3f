package pairs

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"viakv/api/kv"
)

// Error says that the content of the stream is at fault.
type Error struct {
	Line   int64  // number of the line, or of the object's pair, from 1
	Detail string // what is wrong, and what to do
	unit   string
}

func (e *Error) Error() string { return fmt.Sprintf("%s %d: %s", e.unit, e.Line, e.Detail) }

// Texts of errors that have more than one place.
const (
	compressed    = "the input looks compressed with %s: decompress it first, or name its Content-Encoding where it is sent in a request"
	wideText      = "the input looks like UTF-16 or UTF-32: send it as UTF-8"
	notText       = "not UTF-8; keys and values are UTF-8 text: encode other bytes, as base64 for example"
	halfCharacter = `half of a surrogate pair (\ud800 to \udfff) is no character: write both halves, or the character itself`
	badEscape     = `a backslash in a string must be followed by one of "\/bfnrt, or by u and four hexadecimal digits`
	control       = `a string holds a control character: escape it, as \n or \u0000`
	wantPair      = `want {"key":"…","value":"…"}`
	wantObject    = `want one JSON object with strings, {"key":"value"}`
	wantArray     = `want one JSON array of strings, ["key"]`
	wantKey       = `want a key in quotes, "…"`
)

// unit returns what the number in front of an error counts.
func (r *Reader) unit() string {
	switch {
	case r.format == Object:
		return "pair"
	case r.array:
		return "key"
	}
	return "line"
}

// whole reports whether the text is one value, and not lines.
func (r *Reader) whole() bool { return r.format == Object || r.array }

// fail ends the reading, because the content is at fault. An earlier error stays. It returns false.
func (r *Reader) fail(detail string) bool {
	number := r.line
	if r.whole() {
		number = r.pairs + 1
	}
	if r.err == nil {
		r.err = &Error{Line: number, Detail: detail, unit: r.unit()}
	}
	return false
}

// broken notes an error of the stream other than its end, and reports whether there is one.
func (r *Reader) broken() bool {
	if r.stream == nil || r.stream == io.EOF {
		return false
	}
	number := r.line + 1
	if r.whole() {
		number = r.pairs + 1
	}
	r.err = fmt.Errorf("%s %d: %w", r.unit(), number, r.stream)
	return true
}

// Check returns an error for a pair that cannot be stored.
func Check(key, value []byte) error {
	fault := beyondLimits(key, value)
	if !utf8.Valid(key) || !utf8.Valid(value) {
		fault = notText
	}
	if fault != "" {
		return errors.New(fault)
	}
	return nil
}

// beyondLimits says which limit a pair breaks. It returns the empty string when it breaks none.
func beyondLimits(key, value []byte) string {
	if len(key) == 0 {
		return "the key is empty"
	}
	if fault := tooLong("key", key, kv.MaxKeyCharacters); fault != "" {
		return fault
	}
	return tooLong("value", value, kv.MaxValueCharacters)
}

// tooLong says that a text has too many characters. It counts them only where there are more bytes
// than that.
func tooLong(what string, text []byte, limit int) string {
	if len(text) > limit {
		if n := utf8.RuneCount(text); n > limit {
			return fmt.Sprintf("the %s has %d characters; the limit is %d", what, n, limit)
		}
	}
	return ""
}

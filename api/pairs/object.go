package pairs

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// nextOfObject goes to the next pair of an object.
func (r *Reader) nextOfObject() bool {
	if !r.toNext("{}", "brace") {
		return false
	}
	key, ok := r.quotedKey()
	if !ok {
		return false
	}
	if fault := beyondLimits(key, nil); fault != "" {
		return r.fail(fault)
	}
	key = append(r.keyRoom[:0], key...) // what follows may move the buffer
	if c := r.peek(); c != ':' {
		return r.wrong(c, "a colon")
	}
	r.start++
	switch c := r.peek(); {
	case r.err != nil:
		return false
	case c != '"':
		return r.fail(fmt.Sprintf("the value of %.80q is no string: write it in quotes", key))
	}
	value, ok := r.string()
	if !ok || !r.found(key, value) {
		return false
	}
	r.line++
	return true
}

// nextOfArray goes to the next key of an array.
func (r *Reader) nextOfArray() bool {
	if !r.toNext("[]", "bracket") {
		return false
	}
	key, ok := r.quotedKey()
	if !ok || !r.found(key, nil) {
		return false
	}
	r.line++
	return true
}

// toNext goes to where the next member of an object or an array begins. It returns false at the end
// and after an error.
func (r *Reader) toNext(brackets, name string) bool {
	if r.ended {
		return false
	}
	c := r.peek()
	switch {
	case !r.opened && c != brackets[0]:
		return r.wrong(c, "the opening "+name)
	case !r.opened:
		r.opened = true
		r.start++
		if r.peek() == brackets[1] {
			return r.close()
		}
	case c == brackets[1]:
		return r.close()
	case c != ',':
		return r.wrong(c, "a comma or the closing "+name)
	default:
		r.start++
	}
	return true
}

// quotedKey reads a key that has to follow.
func (r *Reader) quotedKey() (key []byte, ok bool) {
	if c := r.peek(); c != '"' {
		return nil, r.wrong(c, "a key in quotes")
	}
	return r.string()
}

// close reads the closing bracket and what is behind it. It returns false.
func (r *Reader) close() bool {
	r.start++
	r.ended = true
	if r.skipSpace() {
		if r.array {
			return r.fail("there is more after the array")
		}
		return r.fail("there is more after the object; objects with a line each are NDJSON, a format of its own")
	}
	r.broken()
	return false
}

// peek returns the byte that follows white space, without taking it. When none follows, it notes
// the error and returns zero.
func (r *Reader) peek() byte {
	if r.skipSpace() {
		return r.buffer[r.start]
	}
	return r.cut()
}

// skipSpace skips white space. It returns false at the end of the stream.
func (r *Reader) skipSpace() bool {
	for {
		for r.start < r.end {
			if !isSpace(r.buffer[r.start]) {
				return true
			}
			r.start++
		}
		if !r.fill() {
			return false
		}
	}
}

// string reads a string and returns its text, in the buffer.
func (r *Reader) string() (text []byte, ok bool) {
	r.start++
	for at := 0; ; {
		index, found, fault := closing(r.rest(), at)
		switch at = index; {
		case fault != "":
			return nil, r.fail(fault)
		case found:
			text, fault := decode(r.rest()[:at])
			r.start += at + 1
			return text, fault == "" || r.fail(fault)
		case !r.fill():
			r.cut()
			return nil, false
		}
	}
}

// cut notes why there is no more, and returns zero.
func (r *Reader) cut() byte {
	switch {
	case r.broken():
	case r.stream != io.EOF:
		r.fail(fmt.Sprintf("a key or a value has more than %d bytes, which none needs: is a quote missing?", bufferSize))
	case r.array:
		r.fail("the input ends before the array does: send it whole, to its closing bracket")
	case r.opened:
		r.fail("the input ends before the object does: send it whole, to its closing brace")
	default:
		r.fail("the input has no object: " + wantObject)
	}
	return 0
}

// wrong notes that something else stands where a token has to be. It returns false.
func (r *Reader) wrong(c byte, what string) bool {
	if r.err != nil {
		return false
	}
	for !utf8.FullRune(r.rest()) && r.fill() {
	}
	switch at, n := utf8.DecodeRune(r.rest()); {
	case c == 0:
		return r.fail(wideText)
	case at == utf8.RuneError && n <= 1:
		return r.fail(notText)
	default:
		want := wantObject
		if r.array {
			want = wantArray
		}
		return r.fail(fmt.Sprintf("no JSON: %q is not %s; %s", at, what, want))
	}
}

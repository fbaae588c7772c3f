package pairs

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"viakv/api/kv"
)

// nextLine goes to the next pair of NDJSON.
func (r *Reader) nextLine() bool {
	for {
		if n := r.fast(r.rest()); n > 0 {
			r.start += n
			r.line++
			return true
		}
		line, ok := r.readLine()
		if !ok {
			return false
		}
		if n := r.fast(line); n > 0 {
			return true
		}
		s := scanner{text: line, want: wantPair}
		if s.done() {
			continue // a blank line
		}
		if r.ended {
			return r.fail("there is more after the last line")
		}
		var l pairLine
		l.read(&s)
		switch {
		case s.fault != "" || s.cut:
			return r.failLine(&s)
		case !l.end && l.seen&(seenKey|seenValue) != seenKey|seenValue:
			return r.fail(wantPair)
		case !l.end:
			return r.found(l.key, l.value)
		}
		if fault := l.endFault(r.pairs); fault != "" {
			return r.fail(fault)
		}
		r.ended = true
	}
}

// nextKey goes to the next key of lines.
func (r *Reader) nextKey() bool {
	for {
		line, ok := r.readLine()
		if !ok {
			return false
		}
		s := scanner{text: line, want: wantKey}
		if s.done() {
			continue // a blank line
		}
		if r.ended {
			return r.fail("there is more after the last line")
		}
		var l pairLine
		switch s.next() {
		case '{':
			l.read(&s)
		case '"':
			if l.key, ok = s.string("a key"); ok && !s.done() {
				s.fail("there is more on the line after the key: write each key on a line of its own")
			}
			l.seen = seenKey
		default:
			s.wrong("a key in quotes")
		}
		switch {
		case s.fault != "" || s.cut:
			return r.failLine(&s)
		case !l.end && l.seen&seenKey == 0:
			return r.fail(wantKey)
		case !l.end:
			return r.found(l.key, nil)
		}
		if fault := l.endFault(r.pairs); fault != "" {
			return r.fail(fault)
		}
		r.ended = true
	}
}

// failLine ends the reading because of a line that a scanner could not take apart.
func (r *Reader) failLine(s *scanner) bool {
	switch {
	case s.cut && s.text[len(s.text)-1] != '\n':
		return r.fail("the input ends in the middle of the line: send it whole")
	case s.cut:
		return r.fail(`the JSON goes on after the line: write each of them on one line, and \n for a line end in a key or a value`)
	}
	return r.fail(s.fault)
}

const (
	beforeKey   = `{"key":"`
	beforeValue = `","value":"`
)

// fast reads the line at the start of b if it is whole and as the API writes lines without escapes.
// It returns the line's length, and zero when it has read nothing.
func (r *Reader) fast(b []byte) int {
	if len(b) < len(beforeKey) || string(b[:len(beforeKey)]) != beforeKey || r.ended || r.slow {
		return 0
	}
	s := b[len(beforeKey):]
	k := plain(s[:min(len(s), kv.MaxKeyBytes+1)])
	if k < 0 {
		return 0
	}
	key := s[:k:k]
	s = s[k:]
	if len(s) < len(beforeValue) || string(s[:len(beforeValue)]) != beforeValue {
		return 0
	}
	s = s[len(beforeValue):]
	v := plain(s[:min(len(s), kv.MaxValueBytes+1)])
	if v < 0 {
		return 0
	}
	value := s[:v:v]
	n := len(beforeKey) + k + len(beforeValue) + v
	switch s = s[v:]; {
	case len(s) >= 3 && string(s[:3]) == "\"}\n":
		n += 3
	case len(s) >= 4 && string(s[:4]) == "\"}\r\n":
		n += 4
	default:
		return 0
	}
	if beyondLimits(key, value) != "" {
		return 0
	}
	r.key, r.value = key, value
	r.pairs++
	return n
}

// readLine returns the next line with its line end, which the last line may lack. It returns false
// at the end of the stream and after an error.
func (r *Reader) readLine() (line []byte, ok bool) {
	for searched := 0; ; {
		rest := r.rest()
		if i := bytes.IndexByte(rest[searched:], '\n'); i >= 0 {
			line = rest[:searched+i+1]
			break
		}
		searched = len(rest)
		if r.fill() {
			continue
		}
		switch {
		case r.broken():
			return nil, false
		case r.stream != io.EOF:
			r.line++
			return nil, r.fail(fmt.Sprintf("the line has more than %d bytes, which no pair needs: write each pair on a line of its own", bufferSize))
		case searched == 0:
			return nil, false
		}
		line = r.rest()
		break
	}
	r.start += len(line)
	r.line++
	return line, true
}

// member is a set of the members that a line may have.
type member uint8

const (
	seenKey member = 1 << iota
	seenValue
	seenEnd
	seenCount
)

// pairLine is a line with a pair, or the last line.
type pairLine struct {
	key, value []byte
	end        bool
	count      []byte // as it is written
	seen       member
}

// read reads the line. The scanner has the error.
func (l *pairLine) read(s *scanner) {
	if !s.take('{', "an opening brace") {
		return
	}
	for more := s.next() != '}'; more; {
		name, ok := s.string("a name in quotes")
		if !ok || !s.take(':', "a colon") || !l.readMember(name, s) {
			return
		}
		if more = s.next() == ','; more {
			s.at++
		}
	}
	if s.take('}', "a comma or a closing brace") && !s.done() {
		s.fail("there is more on the line after its JSON: write each pair on a line of its own")
	}
}

// readMember reads the value of a member, and keeps it if it is one that counts.
func (l *pairLine) readMember(name []byte, s *scanner) bool {
	var m member
	switch string(name) {
	case "key":
		m = seenKey
	case "value":
		m = seenValue
	case "end":
		m = seenEnd
	case "count":
		m = seenCount
	}
	if l.seen&m != 0 {
		return s.fail(fmt.Sprintf("%q comes twice: leave one out", name))
	}
	l.seen |= m
	if m == seenKey || m == seenValue {
		if s.next() != '"' {
			return s.fail(fmt.Sprintf("%q is no string: write it in quotes", name))
		}
		text, ok := s.string("a string")
		if m == seenKey {
			l.key = text
		} else {
			l.value = text
		}
		return ok
	}
	raw, ok := s.skip()
	switch {
	case !ok:
		return false
	case m == seenCount:
		l.count = raw
	case m == seenEnd && string(raw) == "true":
		l.end = true
	case m == seenEnd && string(raw) != "false":
		return s.fail(`"end" is neither true nor false`)
	}
	return true
}

// endFault says what is wrong with the last line after a number of pairs.
func (l *pairLine) endFault(pairs int64) string {
	n, err := strconv.ParseInt(string(l.count), 10, 64)
	switch {
	case l.seen&(seenKey|seenValue) != 0:
		return "the line is a pair and the last line at once: write two lines"
	case err != nil:
		return `the last line does not count the pairs: want {"end":true,"count":N}`
	case n != pairs:
		return fmt.Sprintf("the last line counts %d pairs, and %d came before it: the input is not whole", n, pairs)
	}
	return ""
}

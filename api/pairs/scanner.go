package pairs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// scanner takes a line of JSON apart.
type scanner struct {
	text  []byte
	want  string // what the text has to be
	at    int
	cut   bool   // the text ended where more had to follow
	fault string // the first one; empty: none
}

// done skips white space, and reports whether there is no more.
func (s *scanner) done() bool {
	for s.at < len(s.text) && isSpace(s.text[s.at]) {
		s.at++
	}
	return s.at == len(s.text)
}

// next returns the byte that follows white space, without taking it. It returns zero when the text
// is cut there.
func (s *scanner) next() byte {
	if s.done() {
		s.cut = true
		return 0
	}
	return s.text[s.at]
}

// take takes a byte that has to follow.
func (s *scanner) take(c byte, what string) bool {
	if s.next() != c {
		return s.wrong(what)
	}
	s.at++
	return true
}

// string takes a string and returns its text. It may overwrite what it has taken.
func (s *scanner) string(what string) (text []byte, ok bool) {
	if s.next() != '"' {
		return nil, s.wrong(what)
	}
	raw, ok := s.rawString()
	if !ok {
		return nil, false
	}
	text, fault := decode(raw)
	return text, fault == "" || s.fail(fault)
}

// rawString takes the string that begins here, and returns what is between its quotes.
func (s *scanner) rawString() (raw []byte, ok bool) {
	from := s.at + 1
	to, found, fault := closing(s.text, from)
	if !found {
		s.cut = fault == ""
		return nil, s.fail(fault)
	}
	s.at = to + 1
	return s.text[from:to], true
}

// skip takes any value, and returns it as it is written.
func (s *scanner) skip() (raw []byte, ok bool) {
	c := s.next()
	from := s.at
	switch c {
	case '"':
		_, ok = s.string("")
		return s.text[from:s.at], ok
	case '{', '[':
		if !s.skipNested() {
			return nil, false
		}
	default:
		if n := bytes.IndexAny(s.text[from:], " \t\r\n,]}"); n >= 0 {
			s.at += n
		} else {
			s.at, s.cut = len(s.text), true
		}
	}
	raw = s.text[from:s.at]
	if !s.cut && !json.Valid(raw) {
		s.at = from
		return nil, s.wrong("a JSON value")
	}
	return raw, !s.cut && s.sound(raw)
}

// skipNested takes an object or an array, whatever is in it.
func (s *scanner) skipNested() bool {
	for depth := 0; ; {
		switch s.next() {
		case 0:
			return s.wrong("a JSON value")
		case '"':
			if _, ok := s.rawString(); !ok {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if s.at++; depth == 0 {
			return true
		}
	}
}

// sound checks the strings of valid JSON as strictly as those that are read.
func (s *scanner) sound(raw []byte) bool {
	for part := (scanner{text: raw}); !part.done(); {
		if raw[part.at] != '"' {
			part.at++
		} else if _, ok := part.string(""); !ok {
			return s.fail(part.fault)
		}
	}
	return true
}

// wrong notes that something else stands where a token has to be. It returns false.
func (s *scanner) wrong(what string) bool {
	if s.cut || s.fault != "" {
		return false
	}
	switch r, n := utf8.DecodeRune(s.text[s.at:]); {
	case r == 0:
		return s.fail(wideText)
	case r == utf8.RuneError && n == 1:
		return s.fail(notText)
	default:
		return s.fail(fmt.Sprintf("no JSON: %q at byte %d is not %s; %s", r, s.at+1, what, s.want))
	}
}

// fail notes a fault, unless the text is cut or has one already. It returns false.
func (s *scanner) fail(fault string) bool {
	if !s.cut && s.fault == "" {
		s.fault = fault
	}
	return false
}

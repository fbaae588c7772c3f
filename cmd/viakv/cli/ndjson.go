package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"viakv/api/kv"
)

// The format of exports: a line for each pair, and a last line that says how many pairs there were.
// A file without the last line is not complete.
//
//	{"key":"color","value":"green"}
//	{"end":true,"count":1}

// exportedPair is a line with a pair.
type exportedPair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// exportedEnd is the last line.
type exportedEnd struct {
	End   bool  `json:"end"`
	Count int64 `json:"count"`
}

// maxLine is far above the length of the longest pair with any escaping, in bytes.
const maxLine = 64 << 10

// pairReader reads an export. It is not safe for concurrent use.
type pairReader struct {
	lines *bufio.Scanner
	line  int64 // number of the line that was read last, from 1
	pairs int64
	ended bool // the last line was read
	err   error
	pair  exportedPair
}

func newPairReader(in io.Reader) *pairReader {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, maxLine), maxLine)
	return &pairReader{lines: s}
}

// next goes to the next pair. It returns false at the end or after an error.
func (p *pairReader) next() bool {
	for p.err == nil && p.lines.Scan() {
		p.line++
		line := p.lines.Bytes()
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if p.ended {
			p.err = fmt.Errorf("line %d: there is more after the last line", p.line)
			return false
		}
		if err := p.parse(line); err != nil {
			p.err = fmt.Errorf("line %d: %w", p.line, err)
			return false
		}
		if !p.ended {
			p.pairs++
			return true
		}
	}
	if err := p.lines.Err(); p.err == nil && err != nil {
		p.err = fmt.Errorf("line %d: %w", p.line+1, err)
	}
	return false
}

// parse reads a pair, or the last line. Text that is not UTF-8 is an error here, because JSON would
// silently replace it.
func (p *pairReader) parse(line []byte) error {
	var row struct {
		Key, Value *string
		End        bool
		Count      int64
	}
	if !utf8.Valid(line) {
		return errors.New("not UTF-8")
	}
	if err := json.Unmarshal(line, &row); err != nil {
		return err
	}
	switch {
	case row.End && row.Count != p.pairs:
		return fmt.Errorf("the last line counts %d pairs, and the file has %d", row.Count, p.pairs)
	case row.End:
		p.ended = true
		return nil
	case row.Key == nil || row.Value == nil:
		return errors.New(`want {"key":"…","value":"…"}`)
	}
	p.pair = exportedPair{*row.Key, *row.Value}
	if halfCharacter(line) {
		return errors.New("half of a surrogate pair (\\ud800 to \\udfff) is no character")
	}
	return checkPair(p.pair.Key, p.pair.Value)
}

// halfCharacter reports whether a line of valid JSON escapes one half of a surrogate pair without
// the other half.
func halfCharacter(line []byte) bool {
	for i := 0; i+1 < len(line); i++ {
		if line[i] != '\\' {
			continue
		}
		i++ // the escaped character
		if r := escaped(line[i:]); utf16.IsSurrogate(r) {
			if i+5 >= len(line) || line[i+5] != '\\' || utf16.DecodeRune(r, escaped(line[i+6:])) == utf8.RuneError {
				return true
			}
			i += 6 // to the u of the second half
		}
	}
	return false
}

// escaped decodes uXXXX. It returns 0 for any other text.
func escaped(s []byte) rune {
	if len(s) < 5 || s[0] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(s[1:5]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// whole returns nil when the file was read to its last line. With partial a file may end without
// it.
func (p *pairReader) whole(partial bool) error {
	if p.err == nil && !p.ended && !partial {
		return errors.New(`the last line {"end":true,"count":N} is missing, so the file may be cut; if it is whole, repeat with --partial`)
	}
	return p.err
}

// checkPair checks a pair against the limits before anything is sent.
func checkPair(key, value string) error {
	switch {
	case !utf8.ValidString(key), !utf8.ValidString(value):
		return errors.New("keys and values are UTF-8 text; encode other bytes, as base64 for example")
	case key == "":
		return errors.New("the key is empty")
	case utf8.RuneCountInString(key) > kv.MaxKeyCharacters:
		return fmt.Errorf("the key has %d characters; the limit is %d", utf8.RuneCountInString(key), kv.MaxKeyCharacters)
	case utf8.RuneCountInString(value) > kv.MaxValueCharacters:
		return fmt.Errorf("the value has %d characters; the limit is %d", utf8.RuneCountInString(value), kv.MaxValueCharacters)
	}
	return nil
}

package api

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// parameter is a parameter's name that some endpoint knows.
type parameter uint8

const (
	parameterKey parameter = iota
	parameterValue
	parameterR
	parameterW
	parameterLimit
	parameterCursor
	parameterPrefix
	parameterFormat
	parameterSnapshot
	parameterPeer
	parameterNode
	parameterForce
	parameterChange
	parameterEvents
	parameterSince
	parameterMode
	parameterCount
)

var parameterNames = [parameterCount]string{
	"k", "v", "r", "w", "limit", "cursor", "prefix", "format", "snapshot", "peer", "node", "force", "change", "events", "since", "mode",
}

func (p parameter) String() string { return parameterNames[p] }

// lookup returns the parameter of a decoded name, and false when no endpoint knows the name.
func lookup(name []byte) (parameter, bool) {
	switch string(name) {
	case "k":
		return parameterKey, true
	case "v":
		return parameterValue, true
	case "r":
		return parameterR, true
	case "w":
		return parameterW, true
	case "limit":
		return parameterLimit, true
	case "cursor":
		return parameterCursor, true
	case "prefix":
		return parameterPrefix, true
	case "format":
		return parameterFormat, true
	case "snapshot":
		return parameterSnapshot, true
	case "peer":
		return parameterPeer, true
	case "node":
		return parameterNode, true
	case "force":
		return parameterForce, true
	case "change":
		return parameterChange, true
	case "events":
		return parameterEvents, true
	case "since":
		return parameterSince, true
	case "mode":
		return parameterMode, true
	}
	return 0, false
}

// parameterSet is a set of parameters, one bit each.
type parameterSet uint32

func setOf(ps ...parameter) parameterSet {
	var s parameterSet
	for _, p := range ps {
		s |= 1 << p
	}
	return s
}

func (s parameterSet) has(p parameter) bool { return s&(1<<p) != 0 }

// parameters holds the raw, still encoded values of one request. They point into the request.
type parameters struct {
	raw      [parameterCount][]byte
	seen     parameterSet
	repeated parameterSet
}

func (p *parameters) reset() { p.seen, p.repeated = 0, 0 }

// parse adds the pairs of a query or of a form body. Both are collected together, so a name that
// stands in both counts as repeated. A name that no endpoint knows is skipped, and its value is not
// decoded.
func (p *parameters) parse(query []byte) {
	for len(query) > 0 {
		known, value, rest, ok := nextParameter(query)
		query = rest
		switch {
		case !ok:
		case p.seen.has(known):
			p.repeated |= 1 << known
		default:
			p.seen |= 1 << known
			p.raw[known] = value
		}
	}
}

// nextParameter takes the first pair of a query, and returns its still encoded value. ok is false
// when no endpoint knows the pair's name.
func nextParameter(query []byte) (known parameter, value, rest []byte, ok bool) {
	pair, rest, _ := bytes.Cut(query, []byte("&"))
	name, value, _ := bytes.Cut(pair, []byte("="))
	if len(name) == 0 || len(name) > 3*maxParameterName {
		return 0, nil, rest, false
	}
	var scratch [maxParameterName]byte
	if !plain(name) {
		decoded, fault := decodeText(scratch[:0], name)
		if fault != textFine {
			return 0, nil, rest, false
		}
		name = decoded
	}
	known, ok = lookup(name)
	return known, value, rest, ok
}

const maxParameterName = 8 // that of "snapshot"

// readParameters collects the query and, of a POST, the form body.
func (x *exchange) readParameters() error {
	target := x.ctx.Request.Header.RequestURI()
	if len(target) > maxURLBytes {
		return refuse(kindURLTooLong, "the URL has "+strconv.Itoa(len(target))+" bytes; the limit is "+strconv.Itoa(maxURLBytes))
	}
	_, query, _ := bytes.Cut(target, []byte("?"))
	x.parameters.parse(query)
	if !x.endpoint.mutates || !x.ctx.IsPost() || x.endpoint.loads {
		return nil
	}
	body := x.ctx.Request.Body()
	if len(body) == 0 {
		return nil
	}
	if contentType := x.ctx.Request.Header.ContentType(); !isForm(contentType) {
		return refuse(kindMediaType, "send parameters in the query or in an "+string(formType)+" body")
	}
	x.parameters.parse(body)
	return nil
}

var formType = []byte("application/x-www-form-urlencoded")

func isForm(contentType []byte) bool {
	contentType, _, _ = bytes.Cut(contentType, []byte(";"))
	return bytes.EqualFold(bytes.TrimSpace(contentType), formType)
}

// textFault is what is wrong with an encoded text.
type textFault uint8

const (
	textFine textFault = iota
	textBadEscape
	textBadUTF8
	textTooLong // longer than the buffer to decode it into
	textFragment
)

// plain reports whether the bytes stand for themselves: ASCII without escapes.
func plain(raw []byte) bool {
	for _, c := range raw {
		if !plainByte[c] {
			return false
		}
	}
	return true
}

var plainByte = func() (t [256]bool) {
	for c := range 0x80 {
		t[c] = c != '%' && c != '+' && c != '#'
	}
	return t
}()

// decodeText appends the decoded form of raw to dst, within dst's capacity: it never allocates. '+'
// stands for a space. A '#' is refused: in a request target it would begin a fragment, which a
// client does not send, so it is an encoding mistake.
func decodeText(dst, raw []byte) ([]byte, textFault) {
	for i := 0; i < len(raw); i++ {
		if len(dst) == cap(dst) {
			return dst, textTooLong
		}
		c := raw[i]
		switch c {
		case '+':
			c = ' '
		case '#':
			return dst, textFragment
		case '%':
			if i+2 >= len(raw) {
				return dst, textBadEscape
			}
			hi, lo := unhex[raw[i+1]], unhex[raw[i+2]]
			if hi == notHex || lo == notHex {
				return dst, textBadEscape
			}
			c = hi<<4 | lo
			i += 2
		}
		dst = append(dst, c)
	}
	if !utf8.Valid(dst) {
		return dst, textBadUTF8
	}
	return dst, textFine
}

const notHex = 0xff

var unhex = func() (t [256]byte) {
	for i := range t {
		t[i] = notHex
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c - '0'
	}
	for c := byte('a'); c <= 'f'; c++ {
		t[c], t[c-'a'+'A'] = c-'a'+10, c-'a'+10
	}
	return t
}()

package api

import (
	"strconv"

	"viakv/api/kv"
)

// scanKind is what a scan delivers of each pair.
type scanKind uint8

const (
	kindKeys scanKind = iota
	kindValues
	kindPairs
)

// rows renders a scan: as an array of strings, as an object, or as NDJSON. In all of them each row
// begins on a line of its own.
type rows struct {
	kind   scanKind
	ndjson bool
	count  int
}

// maxRow is the length of the longest row. Each character may take six bytes, as \u00XX; the rest
// is what stands around key and value.
const maxRow = 6*(kv.MaxKeyCharacters+kv.MaxValueCharacters) + 64

func (r *rows) contentType() string {
	if r.ndjson {
		return ndjsonType
	}
	return jsonType
}

func (r *rows) begin(dst []byte) []byte {
	switch {
	case r.ndjson:
		return dst
	case r.kind == kindPairs:
		return append(dst, '{')
	}
	return append(dst, '[')
}

func (r *rows) append(dst []byte, p *kv.Pair) []byte {
	if !r.ndjson && r.count > 0 {
		dst = append(dst, ',', '\n')
	}
	r.count++
	switch r.kind {
	case kindKeys:
		dst = appendJSON(dst, p.Key)
	case kindValues:
		dst = appendJSON(dst, p.Value)
	default:
		if !r.ndjson {
			dst = appendJSON(dst, p.Key)
			dst = append(dst, ':')
			return appendJSON(dst, p.Value)
		}
		dst = append(dst, `{"key":`...)
		dst = appendJSON(dst, p.Key)
		dst = append(dst, `,"value":`...)
		dst = appendJSON(dst, p.Value)
		return append(dst, '}', '\n')
	}
	if r.ndjson {
		dst = append(dst, '\n')
	}
	return dst
}

// appendMissing appends the row of a key that has no value.
func (r *rows) appendMissing(dst, key []byte) []byte {
	if r.ndjson {
		r.count++
		dst = appendJSON(append(dst, `{"key":`...), key)
		return append(dst, `,"value":null}`+"\n"...)
	}
	if r.count > 0 {
		dst = append(dst, ',', '\n')
	}
	r.count++
	return append(appendJSON(dst, key), ":null"...)
}

// end appends the end of the body, by which a client tells a whole answer from one that was cut.
func (r *rows) end(dst []byte, cursor string) []byte {
	switch {
	case !r.ndjson && r.kind == kindPairs:
		return append(dst, '}', '\n')
	case !r.ndjson:
		return append(dst, ']', '\n')
	}
	dst = append(dst, `{"end":true,"count":`...)
	dst = strconv.AppendInt(dst, int64(r.count), 10)
	if cursor != "" {
		dst = append(dst, `,"cursor":`...)
		dst = appendJSON(dst, []byte(cursor))
	}
	return append(dst, '}', '\n')
}

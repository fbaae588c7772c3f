package baseline

import (
	"encoding/json"
	"io"
	"strconv"
)

// rows is the body of a scan: the whole map as newline-delimited JSON, in the form of viakv's
// answers (docs/api.md).
type rows struct {
	of           *store
	keys, values bool
}

// flushRows is the least size of a chunk of the body, in bytes.
const flushRows = 64 << 10

// SupportsBodyWriteTo makes fasthttp call WriteTo.
func (r *rows) SupportsBodyWriteTo() bool { return true }

// Read is never called.
func (r *rows) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

// WriteTo implements io.WriterTo. A key that is set meanwhile may be missing.
func (r *rows) WriteTo(w io.Writer) (total int64, err error) {
	var b []byte
	count := 0
	flush := func() error {
		n, err := w.Write(b)
		total, b = total+int64(n), b[:0]
		return err
	}
	for i := range r.of.shards {
		in := &r.of.shards[i]
		in.mu.RLock()
		count += len(in.values)
		for key, value := range in.values {
			b = r.append(b, key, value)
		}
		in.mu.RUnlock()
		if len(b) >= flushRows {
			if err := flush(); err != nil {
				return total, err
			}
		}
	}
	b = append(b, `{"end":true,"count":`...)
	b = strconv.AppendInt(b, int64(count), 10)
	b = append(b, "}\n"...)
	return total, flush()
}

func (r *rows) append(b []byte, key string, value []byte) []byte {
	switch {
	case !r.values:
		b = appendQuoted(b, key)
	case !r.keys:
		b = appendQuoted(b, value)
	default:
		b = append(b, `{"key":`...)
		b = appendQuoted(b, key)
		b = append(b, `,"value":`...)
		b = appendQuoted(b, value)
		b = append(b, '}')
	}
	return append(b, '\n')
}

// appendQuoted appends a text as a JSON string.
func appendQuoted[T string | []byte](b []byte, s T) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			quoted, _ := json.Marshal(string(s)) // cannot fail for a string
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

package kv

import (
	"encoding/hex"
)

// Trace names the trace that a request is part of. It is what version 00 of the traceparent header
// carries (W3C Trace Context). The zero value stands for no trace. The trace is passed on with the
// request as it came: a node makes no spans of its own.
type Trace struct {
	ID     [16]byte
	Parent [8]byte
	Flags  byte
}

// TraceSize is the length of the header's value, in bytes.
const TraceSize = 2 + 1 + 32 + 1 + 16 + 1 + 2

// ParseTrace reads the header's value. ok is false when that is no trace.
func ParseTrace(b []byte) (t Trace, ok bool) {
	if len(b) != TraceSize || b[0] != '0' || b[1] != '0' || b[2] != '-' || b[35] != '-' || b[52] != '-' {
		return Trace{}, false
	}
	var flags [1]byte
	for _, part := range []struct{ dst, src []byte }{{t.ID[:], b[3:35]}, {t.Parent[:], b[36:52]}, {flags[:], b[53:55]}} {
		for _, c := range part.src {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') { // the specification allows no capitals
				return Trace{}, false
			}
		}
		if _, err := hex.Decode(part.dst, part.src); err != nil {
			return Trace{}, false
		}
	}
	t.Flags = flags[0]
	if t.ID == [16]byte{} || t.Parent == [8]byte{} {
		return Trace{}, false
	}
	return t, true
}

// IsZero reports whether there is no trace.
func (t Trace) IsZero() bool { return t == Trace{} }

// Append appends the header's value to dst.
func (t Trace) Append(dst []byte) []byte {
	dst = append(dst, "00-"...)
	dst = hex.AppendEncode(dst, t.ID[:])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, t.Parent[:])
	dst = append(dst, '-')
	return hex.AppendEncode(dst, []byte{t.Flags})
}

func (t Trace) String() string { return string(t.Append(nil)) }

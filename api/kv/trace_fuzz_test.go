package kv

import "testing"

// FuzzParseTrace checks that a trace that is accepted is passed on as it came.
func FuzzParseTrace(f *testing.F) {
	f.Add([]byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	f.Add([]byte("00-00000000000000000000000000000000-b7ad6b7169203331-01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if trace, ok := ParseTrace(b); ok && string(trace.Append(nil)) != string(b) {
			t.Errorf("%q is passed on as %q", b, trace.Append(nil))
		}
	})
}

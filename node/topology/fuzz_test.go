package topology

import (
	"bytes"
	"testing"
)

// FuzzDocument checks that Decode panics on no input, and that each topology it accepts is the same
// after another round of Encode and Decode.
func FuzzDocument(f *testing.F) {
	for _, t := range []*Topology{founded(f, "a", "b", "c"), joining(f), grown(f)} {
		f.Add(t.encode())
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		top, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(top.encode())
		if err != nil || !bytes.Equal(again.encode(), top.encode()) {
			t.Errorf("%q is %s, then %v (%v)", b, top.encode(), again, err)
		}
	})
}

// FuzzCommand checks that any command in the log is either refused or makes a valid topology. It
// makes the same one each time, and leaves the old one unchanged.
func FuzzCommand(f *testing.F) {
	top := grown(f)
	for _, c := range []command{{Kind: Clear, Expect: top.Epoch}, {Kind: Purge, Expect: top.Epoch, List: 1}, {Kind: Shrink, Expect: top.Epoch, Name: "a", Force: true}, {Kind: Admit, Expect: top.Epoch}} {
		f.Add(encodeJSON(c))
	}
	f.Add([]byte(`null`))
	before := top.encode()
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCommand(b)
		if err != nil {
			return
		}
		next, err := apply(top, 1000, c)
		if !bytes.Equal(top.encode(), before) {
			t.Fatalf("%s changed what it was applied to", b)
		}
		if err != nil {
			return
		}
		if err := next.validate(); err != nil {
			t.Errorf("%s: %v", b, err)
		}
		if again, err := apply(top, 1000, c); err != nil || !bytes.Equal(again.encode(), next.encode()) {
			t.Errorf("%s: %s, and then %v (%v)", b, next.encode(), again, err)
		}
	})
}

// FuzzBody checks that decodeBody either refuses a body or returns no invalid topology.
func FuzzBody(f *testing.F) {
	f.Add(encodeJSON(&response{Topology: founded(f, "a")}))
	f.Add([]byte(`{"topology":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []any{new(presence), new(update), new(updateReply), new(response)} {
			_ = decodeBody(b, v)
		}
		var r response
		if err := decodeBody(b, &r); err == nil && r.Topology != nil {
			if err := r.Topology.validate(); err != nil {
				t.Errorf("%q: %v", b, err)
			}
		}
	})
}

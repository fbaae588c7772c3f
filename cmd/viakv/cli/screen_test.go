package cli

import (
	"bytes"
	"testing"
)

func TestThePrefixerWritesWholeLines(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out}
	a, b := &prefixer{screen: s, prefix: "a"}, &prefixer{screen: s, prefix: "b"}
	for _, w := range []struct {
		to   *prefixer
		text string
	}{{a, "one\ntw"}, {b, "half"}, {a, "o\n\n"}, {b, " and half\nrest"}} {
		if n, err := w.to.Write([]byte(w.text)); n != len(w.text) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	a.flush()
	b.flush()
	if want := "a  one\na  two\na  \nb  half and half\nb  rest\n"; out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

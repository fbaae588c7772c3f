package pairs

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// endless delivers a text again and again.
type endless struct {
	text []byte
	at   int
}

func (e *endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		more := copy(b[n:], e.text[e.at:])
		n += more
		e.at = (e.at + more) % len(e.text)
	}
	return n, nil
}

// someLines returns many lines like the given one.
func someLines(line string) io.Reader { return &endless{text: bytes.Repeat([]byte(line), 1000)} }

// Keys have 24 bytes, and values 128.
var (
	someKey   = strings.Repeat("user/012", 3)
	someValue = strings.Repeat("a value ", 16)
	shapes    = map[string]string{
		"canonical": `{"key":"` + someKey + `","value":"` + someValue + "\"}\n",
		"spaces":    `{"key": "` + someKey + `", "value": "` + someValue + "\"}\n",
		"escapes":   `{"key":"` + someKey + `","value":"` + strings.Repeat(`a\"value`, 16) + "\"}\n",
		"beyond":    `{"key":"` + someKey + `","value":"` + strings.Repeat(`é value`, 16) + "\"}\n",
		"version":   `{"key":"` + someKey + `","version":"1.22@3","value":"` + someValue + "\"}\n",
	}
)

func TestPairsAllocateNothing(t *testing.T) {
	for name, line := range shapes {
		r := NewReader(someLines(line), NDJSON)
		if n := testing.AllocsPerRun(5000, func() {
			if !r.Next() {
				t.Fatal(r.Err())
			}
		}); n != 0 {
			t.Errorf("%s: %g allocations for each pair", name, n)
		}
	}
	r := NewReader(io.MultiReader(strings.NewReader("{"), someLines(`"`+someKey+`":"`+someValue+"\",\n")), Object)
	if n := testing.AllocsPerRun(5000, func() {
		if !r.Next() {
			t.Fatal(r.Err())
		}
	}); n != 0 {
		t.Errorf("an object: %g allocations for each pair", n)
	}
}

func BenchmarkLines(b *testing.B) {
	for _, name := range []string{"canonical", "beyond", "spaces", "version", "escapes"} {
		b.Run(name, func(b *testing.B) { benchmark(b, NewReader(someLines(shapes[name]), NDJSON), len(shapes[name])) })
	}
}

func BenchmarkObject(b *testing.B) {
	row := `"` + someKey + `":"` + someValue + "\",\n"
	benchmark(b, NewReader(io.MultiReader(strings.NewReader("{"), someLines(row)), Object), len(row))
}

// benchmark reads a pair in each iteration.
func benchmark(b *testing.B, r *Reader, size int) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if !r.Next() {
			b.Fatal(r.Err())
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
}

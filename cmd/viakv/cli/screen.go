package cli

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// screen is an output that several processes share. Each of them writes complete lines.
type screen struct {
	mu  sync.Mutex
	out io.Writer
}

func (s *screen) print(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format, args...)
}

// prefixer writes its prefix before each line. It is not safe for concurrent use.
type prefixer struct {
	screen *screen
	prefix string
	rest   []byte // the start of a line that has not ended yet
}

func (p *prefixer) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		line, rest, whole := bytes.Cut(p.rest, []byte{'\n'})
		if !whole {
			return len(b), nil
		}
		p.screen.print("%s  %s\n", p.prefix, line)
		p.rest = rest
	}
}

// flush ends a last line without a line end.
func (p *prefixer) flush() {
	if len(p.rest) > 0 {
		_, _ = p.Write([]byte{'\n'})
	}
}

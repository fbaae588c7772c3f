package cliutil

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program returns a command line with one command, and the value of that command's flag.
func program() (root *cobra.Command, speed *int) {
	root = &cobra.Command{Use: "prog", Args: KnownCommand, RunE: func(*cobra.Command, []string) error { return nil }}
	run := &cobra.Command{Use: "run", Args: NoArguments, RunE: func(*cobra.Command, []string) error { return nil }}
	speed = run.Flags().Int("top-speed", 5, "of the run")
	root.AddCommand(run)
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	Prepare(root)
	return root, speed
}

func TestAFlagWinsOverTheEnvironmentAndThatOverTheDefault(t *testing.T) {
	for _, c := range []struct {
		environment string
		args        []string
		want        int
	}{
		{"", []string{"run"}, 5},
		{"7", []string{"run"}, 7},
		{"7", []string{"run", "--top-speed", "9"}, 9},
	} {
		if c.environment != "" {
			t.Setenv("PROG_TOP_SPEED", c.environment)
		}
		root, speed := program()
		root.SetArgs(c.args)
		if err := root.Execute(); err != nil || *speed != c.want {
			t.Errorf("%q and %v: %d, %v; want %d", c.environment, c.args, *speed, err, c.want)
		}
	}
}

func TestEveryBadVariableIsNamed(t *testing.T) {
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.Duration("drain", 0, "")
	f.Int("top-speed", 0, "")
	err := fromEnvironment("prog", f, func(string) (string, bool) { return "soon", true })
	if !IsUsage(err) || !strings.Contains(err.Error(), "PROG_DRAIN") || !strings.Contains(err.Error(), "PROG_TOP_SPEED") {
		t.Errorf("got %v", err)
	}
}

func TestMistakesAreErrorsOfUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"bogus"}, `unknown command "bogus" for "prog"; see prog --help`},
		{[]string{"rnu"}, `unknown command "rnu" for "prog", did you mean run?; see prog --help`},
		{[]string{"run", "fast"}, `"fast" is not a flag, and this command takes nothing else; see prog run --help`},
		{[]string{"run", "--bogus"}, "unknown flag: --bogus"},
	} {
		root, _ := program()
		root.SetArgs(c.args)
		if err := root.Execute(); !IsUsage(err) || err.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.args, err, c.want)
		}
	}
	cause := errors.New("no")
	if err := errors.Join(nil, Usage(cause)); !IsUsage(err) || !errors.Is(err, cause) || IsUsage(cause) {
		t.Errorf("got %v", err)
	}
	if err := Usagef("%w", cause); !IsUsage(err) || !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

// screen is a terminal whose received bytes the test can read.
type screen struct {
	mu       sync.Mutex
	written  bytes.Buffer
	terminal uintptr
}

func (s *screen) Fd() uintptr { return s.terminal }

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written.Write(b)
}

func (s *screen) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written.String()
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no terminal to be had: ", err)
	}
	t.Cleanup(func() { _ = f.Close() })
	t.Setenv("TERM", "xterm")
	return &screen{terminal: f.Fd()}
}

// line returns the text of the screen's last line. It interprets what the bar writes: text, returns
// to the line's start, and the sequences that erase the rest of the line or the whole line.
func (s *screen) line() string {
	var cells []rune
	at := 0
	for rest := s.shown(); rest != ""; {
		if after, is := strings.CutPrefix(rest, "\x1b[0K"); is {
			cells, rest = cells[:min(at, len(cells))], after
			continue
		}
		if after, is := strings.CutPrefix(rest, "\x1b[2K"); is {
			cells, at, rest = nil, 0, after
			continue
		}
		r, n := utf8.DecodeRuneInString(rest)
		rest = rest[n:]
		switch {
		case r == '\r':
			at = 0
		case r == '\n':
			cells, at = nil, 0
		case at < len(cells):
			cells[at] = r
			at++
		default:
			cells = append(cells, r)
			at++
		}
	}
	return strings.TrimRight(string(cells), " ")
}

// TestABarIsGoneAtItsEnd ends bars of all kinds. TestMain finds the goroutine that draws a bar
// without a total, in case it does not end with the bar.
func TestABarIsGoneAtItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		total int64
		steps []int
		shows string
	}{
		"some":               {10, []int{4}, "40%"},
		"all":                {10, []int{4, 6}, "100%"},
		"all at once":        {10, []int{10}, "100%"},
		"many, drawn once":   {10_000_000, []int{1, 9_000_000}, "(1/10000000"},
		"none":               {10, nil, ""},
		"no total":           {-1, []int{3}, "(3/-"},
		"no total, many":     {-1, []int{1, 9_000_000}, "(1/-"},
		"no total, no steps": {-1, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScreen(t)
			bar := NewBar(s, "writing", "keys", c.total)
			for _, n := range c.steps {
				bar.Add(n)
			}
			if c.shows != "" && !strings.Contains(s.line(), c.shows) {
				t.Errorf("the line shows %q, want %s", s.line(), c.shows)
			}
			bar.End()
			if line := s.line(); line != "" {
				t.Errorf("left behind: %q of %q", line, s.shown())
			}
		})
	}
}

func TestStepsBeyondTheTotalWriteNothing(t *testing.T) {
	s := newScreen(t)
	bar := NewBar(s, "writing", "keys", 10)
	bar.Set(10)
	whole := s.shown()
	for range 1000 {
		bar.Add(1)
	}
	if s.shown() != whole || !strings.Contains(s.line(), "100%") {
		t.Errorf("more was written: %q", s.shown()[len(whole):])
	}
	bar.End()
}

func TestABarIsForTerminalsThatKnowHow(t *testing.T) {
	s := newScreen(t)
	t.Setenv("TERM", "dumb")
	bar := NewBar(s, "writing", "keys", 10)
	bar.Add(10)
	bar.End()
	if s.shown() != "" {
		t.Errorf("a dumb terminal got %q", s.shown())
	}
}

func TestABarIsForTerminals(t *testing.T) {
	var out bytes.Buffer
	for _, total := range []int64{-1, 10} {
		bar := NewBar(&out, "writing", "keys", total)
		bar.Add(4)
		bar.Set(5)
		bar.End()
	}
	if out.Len() > 0 {
		t.Errorf("drawn into a buffer: %q", &out)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if IsTerminal(null) || IsTerminal(&out) {
		t.Error("a terminal where there is none")
	}
}

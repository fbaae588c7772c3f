package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"viakv/cmd/cliutil"
)

// json reports whether the output is JSON instead of text.
func (r *remote) json() bool { return r.output == "json" }

// document prints v as JSON.
func (r *remote) document(v any) error {
	e := newEncoder(r.cmd.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// newEncoder returns an encoder that leaves <, > and & as they are.
func newEncoder(out io.Writer) *json.Encoder {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e
}

func (r *remote) print(format string, args ...any) error {
	_, err := fmt.Fprintf(r.cmd.OutOrStdout(), format, args...)
	return err
}

// answer prints a result: as JSON the document, and otherwise the text.
func (r *remote) answer(document any, format string, args ...any) error {
	if r.json() {
		return r.document(document)
	}
	return r.print(format, args...)
}

// newTable returns a table whose columns are as wide as their cells.
func newTable(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

// note prints a message that is no result, on standard error.
func (r *remote) note(format string, args ...any) {
	fmt.Fprintf(r.cmd.ErrOrStderr(), format+"\n", args...)
}

// visible returns a key or a value as one line, which cannot look like several and does not act on
// a terminal. It is quoted only where that is needed.
func visible(s string) string {
	if s == "" || s[0] == '"' || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// readLine reads one line from a person. It reads byte by byte, so that it takes nothing beyond the
// line.
func readLine(in io.Reader) string {
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := in.Read(b)
		if n == 1 && b[0] != '\n' {
			line = append(line, b[0])
		}
		if err != nil || n == 1 && b[0] == '\n' {
			return strings.TrimSpace(string(line))
		}
	}
}

// confirm asks before a step that cannot be undone, unless --yes was given. Without a terminal it
// refuses.
func (r *remote) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	in := r.cmd.InOrStdin()
	if !cliutil.IsTerminal(in) {
		return cliutil.Usagef("this cannot be undone, and there is no terminal to ask at: repeat it with --yes")
	}
	return confirmed(in, r.cmd.ErrOrStderr(), question)
}

// confirmed asks a question and returns nil for the answer yes.
func confirmed(in io.Reader, out io.Writer, question string) error {
	fmt.Fprintf(out, "%s Type yes to go on: ", question)
	if readLine(in) != "yes" {
		return &codedError{code: exitRefused, err: errors.New("not confirmed; nothing happened")}
	}
	return nil
}

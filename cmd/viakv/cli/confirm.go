package cli

import (
	"errors"
	"fmt"
	"io"

	"viakv/cmd/cliutil"
)

// confirm asks before something that cannot be undone, unless --yes was given. Where nobody can be asked it refuses.
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

// confirmed asks and returns nil for the answer yes.
func confirmed(in io.Reader, out io.Writer, question string) error {
	fmt.Fprintf(out, "%s Type yes to go on: ", question)
	if readLine(in) != "yes" {
		return &codedError{code: exitRefused, err: errors.New("not confirmed; nothing happened")}
	}
	return nil
}

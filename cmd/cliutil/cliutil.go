// Package cliutil has what the commands of this module share: flags that are read from the
// environment, mistakes on the command line with their exit status, and progress bars.
package cliutil

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// The exit statuses that all commands have.
const (
	ExitFailed = 1
	ExitUsage  = 2 // a command line that cannot be understood; nothing happened
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage makes err a mistake on the command line. Nil stays nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// Usagef is fmt.Errorf for a mistake on the command line.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// IsUsage reports whether err is a mistake on the command line.
func IsUsage(err error) bool { return errors.As(err, new(usageError)) }

// Prepare completes a command line that has all its commands. Each flag can then be given as an
// environment variable as well: --max-memory of viakv as VIAKV_MAX_MEMORY. A flag wins over the
// environment, and the environment over the default. Mistakes become usage errors, which the caller
// prints.
func Prepare(root *cobra.Command) {
	root.SilenceUsage, root.SilenceErrors = true, true
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		return fromEnvironment(root.Name(), cmd.Flags(), os.LookupEnv)
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Usage(err) })
	argumentsAsUsage(root)
}

// argumentsAsUsage turns the errors of argument checks into usage errors, for a command and for all
// commands below it.
func argumentsAsUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return Usagef("%w; see %s --help", err, cmd.CommandPath())
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		argumentsAsUsage(c)
	}
}

// KnownCommand refuses unknown words, for a command that has other commands below it.
func KnownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	alike := ""
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		alike = fmt.Sprintf(", did you mean %s?", strings.Join(names, " or "))
	}
	return fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), alike)
}

// NoArguments refuses words that are not flags.
func NoArguments(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%q is not a flag, and this command takes nothing else", args[0])
}

// fromEnvironment sets each flag that was not given from its variable, if that is set.
func fromEnvironment(program string, flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := strings.ToUpper(program + "_" + strings.ReplaceAll(f.Name, "-", "_"))
		if value, ok := lookup(name); ok && !f.Changed {
			if err := flags.Set(f.Name, value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	return Usage(errors.Join(errs...))
}

// IsTerminal reports whether an input or an output is a terminal.
func IsTerminal(v any) bool {
	f, ok := v.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// Bar is a progress bar. It is shown only on a terminal that knows the usual control sequences. It
// is safe for concurrent use.
type Bar struct {
	bar     *progressbar.ProgressBar
	out     io.Writer // nil: the bar is not shown
	endless bool
}

// NewBar returns a bar of total steps, counted in unit. Below zero: the number is not known.
func NewBar(out io.Writer, what, unit string, total int64) *Bar {
	b := &Bar{endless: total < 0}
	if IsTerminal(out) && os.Getenv("TERM") != "dumb" {
		b.out = out
	}
	b.bar = progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(out), progressbar.OptionSetVisibility(b.Shown()), progressbar.OptionUseANSICodes(true),
		progressbar.OptionSetDescription(what), progressbar.OptionSetItsString(unit), progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond))
	return b
}

// Shown reports whether the bar is drawn.
func (b *Bar) Shown() bool { return b.out != nil }

// Add counts n more steps.
func (b *Bar) Add(n int) { _ = b.bar.Add(n) }

// Set sets the number of steps so far.
func (b *Bar) Set(n int64) { _ = b.bar.Set64(n) }

// eraseLine erases the terminal's line and returns to its start.
const eraseLine = "\x1b[2K\r"

// End removes the bar. The library alone would leave the end of a line that has become longer.
func (b *Bar) End() {
	if !b.Shown() {
		return
	}
	if b.endless { // otherwise a goroutine would continue to draw it
		_ = b.bar.Finish()
	}
	_, _ = io.WriteString(b.out, eraseLine)
}

// CheckAddress returns a usage error for a value that is no HOST:PORT. The text of what names the
// flag or the argument.
func CheckAddress(what, value string) error {
	if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
		return Usagef("%s %q: want HOST:PORT", what, value)
	}
	return nil
}

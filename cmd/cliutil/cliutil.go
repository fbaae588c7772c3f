// Package cliutil holds what the commands of this module share: flags that come from the
// environment, mistakes on the command line with their exit status, and bars of progress.
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

// Exit statuses that all commands have.
const (
	ExitFailed = 1
	ExitUsage  = 2 // a command line that cannot be understood; nothing happened
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage makes err a mistake on the command line.
func Usage(err error) error { return usageError{err} }

// Usagef is fmt.Errorf for a mistake on the command line.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// IsUsage reports whether err is a mistake on the command line.
func IsUsage(err error) bool { return errors.As(err, new(usageError)) }

// Prepare completes a command line whose commands are all there. Every flag of theirs can then be
// given as an environment variable as well: --max-memory of viakv as VIAKV_MAX_MEMORY. A flag wins
// over the environment, the environment over the default. Mistakes are errors of usage, and the
// caller prints them.
func Prepare(root *cobra.Command) {
	root.SilenceUsage, root.SilenceErrors = true, true
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		return fromEnvironment(root.Name(), cmd.Flags(), os.LookupEnv)
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Usage(err) })
	argumentsAsUsage(root)
}

// argumentsAsUsage makes what the checks of arguments find errors of usage, for a command and all
// below it.
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

// NoArguments refuses words that are no flags.
func NoArguments(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%q is not a flag, and this command takes nothing else", args[0])
}

// fromEnvironment sets the flags of a program that were not given from their variables.
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
	if err := errors.Join(errs...); err != nil {
		return Usage(err)
	}
	return nil
}

// IsTerminal reports whether a person sits behind an input or an output.
func IsTerminal(v any) bool {
	f, ok := v.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// NewBar is a bar of progress for a person who waits; on an output that is no terminal it is not
// shown, and costs nothing. It expects total steps, counted in unit; below zero: it is not known
// how many. Its steps may be added by several goroutines.
func NewBar(out io.Writer, what, unit string, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(out), progressbar.OptionSetVisibility(IsTerminal(out)),
		progressbar.OptionSetDescription(what), progressbar.OptionSetItsString(unit),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
		progressbar.OptionUseANSICodes(true), progressbar.OptionThrottle(100*time.Millisecond),
		// Without a total the bar would otherwise be drawn by a goroutine that ends with the
		// process.
		progressbar.OptionSetSpinnerChangeInterval(0))
}

// CheckAddress refuses what is no HOST:PORT; what names the flag or the argument.
func CheckAddress(what, value string) error {
	if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
		return Usagef("%s %q: want HOST:PORT", what, value)
	}
	return nil
}

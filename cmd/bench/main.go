// Command bench measures, checks and torments a viakv cluster, from outside.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"viakv/bench"
)

// commit that this program was built from; the linker sets it.
var commit string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	var usage usageError
	if errors.As(err, &usage) || errors.Is(err, bench.ErrRemote) {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailed)
}

// Exit codes of all commands.
const (
	exitFailed = 1 // also: a run that did not pass
	exitUsage  = 2
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errNotPassed ends a run whose report says why.
var errNotPassed = errors.New("the run did not pass")

package cli

import (
	"fmt"
	"os"
	"time"
)

// Main is the program: it runs the command line of the process, and ends the process where that
// fails. The commit is what the program was built from.
func Main(commit string) {
	if err := root(commit).Execute(); err != nil {
		complain(err)
		os.Exit(exitCode(err))
	}
}

// complainTime bounds the wait for somebody to take the reason of a failure.
const complainTime = time.Second

// complain says why the command has failed, unless nobody takes that: it must not keep the command
// from ending.
func complain(err error) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		fmt.Fprintln(os.Stderr, "viakv:", err)
	}()
	select {
	case <-said:
	case <-time.After(complainTime):
	}
}

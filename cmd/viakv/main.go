// Command viakv runs and operates a viakv node.
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	if err := root().Execute(); err != nil {
		complain(err)
		os.Exit(exitCode(err))
	}
}

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
	case <-time.After(flushTime):
	}
}

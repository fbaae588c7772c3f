// Command viakv runs and operates a viakv node.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := root().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "viakv:", err)
		os.Exit(exitCode(err))
	}
}

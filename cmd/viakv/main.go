// Command viakv runs and operates a viakv node.
package main

import "viakv/cmd/viakv/cli"

// commit is the commit that this program was built from. The linker sets it.
var commit = "unknown"

func main() { cli.Main(commit) }

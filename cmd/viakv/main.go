// Command viakv runs and operates a viakv node.
package main

import "viakv/cmd/viakv/cli"

// commit that this program was built from; the linker sets it.
var commit = "unknown"

func main() { cli.Main(commit) }

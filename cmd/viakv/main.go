// Command viakv runs and operates a viakv node.
package main

// commit that this program was built from; the linker sets it.
var commit = "unknown"

func main() { run(commit) }

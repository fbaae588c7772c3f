// Package docs compares what the pages say with the programs, and the code with its structure.
package docs

import (
	"testing"

	"viakv/cmd/viakv/cli"
	"viakv/cmd/viakv/viakvtest"
)

func TestMain(m *testing.M) { viakvtest.RunTests(m, func() { cli.Main("test") }) }

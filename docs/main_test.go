// Package docs holds what the pages say against the programs, and the code against its structure.
package docs

import (
	"testing"

	"viakv/cmd/viakv/cli"
	"viakv/cmd/viakv/viakvtest"
)

func TestMain(m *testing.M) { viakvtest.RunTests(m, func() { cli.Main("test") }) }

package cli

import (
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

func TestMain(m *testing.M) { viakvtest.RunTests(m, func() { Main("test") }) }

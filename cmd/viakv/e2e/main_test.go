// Package e2e tests viakv from outside: as processes, in meshes, on databases, behind Envoy and in
// containers.
package e2e

import (
	"testing"

	"viakv/cmd/viakv/cli"
	"viakv/cmd/viakv/viakvtest"
)

func TestMain(m *testing.M) { viakvtest.RunTests(m, func() { cli.Main("test") }) }

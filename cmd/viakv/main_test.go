package main

import (
	"os"
	"path/filepath"
	"testing"

	"viakv/api/apitest"
)

// asCommand in the environment makes the test binary behave as the command itself, so that tests
// can start real processes of it. The name viakv does the same.
const asCommand = "TEST_AS_VIAKV"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" || filepath.Base(os.Args[0]) == "viakv" {
		main()
		return
	}
	apitest.VerifyNoLeaks(m)
}

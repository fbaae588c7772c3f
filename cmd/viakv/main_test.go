package main

import (
	"os"
	"testing"

	"viakv/api/apitest"
)

// asCommand makes the test binary behave as the command itself, so that tests can start real processes of it.
const asCommand = "TEST_AS_VIAKV"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	apitest.VerifyNoLeaks(m)
}

package main

import (
	"os"
	"testing"
)

// asCommand makes the test binary behave as the command itself, so that tests can start real processes of it.
const asCommand = "TEST_AS_VIAKV"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

package client_test

import (
	"testing"

	"viakv/api/apitest"
)

// withExamples runs the tests, then stops the server of the examples.
type withExamples struct{ *testing.M }

func (m withExamples) Run() int {
	defer examples.stop()
	return m.M.Run()
}

func TestMain(m *testing.M) { apitest.VerifyNoLeaks(withExamples{m}) }

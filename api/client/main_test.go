package client_test

import (
	"testing"

	"viakv/api/apitest"
)

// withExamples runs the tests, and stops the examples' server after them.
type withExamples struct{ *testing.M }

func (m withExamples) Run() int {
	defer examples.stop()
	return m.M.Run()
}

func TestMain(m *testing.M) { apitest.VerifyNoLeaks(withExamples{m}) }

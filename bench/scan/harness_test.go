package scan_test

import (
	"testing"

	"viakv/api"
	"viakv/api/apitest"
)

func TestMain(m *testing.M) { apitest.VerifyNoLeaks(m) }

// target runs the real API over a reference store until the test ends, and returns its URL.
func target(t testing.TB) string {
	t.Helper()
	return apitest.Serve(t, api.Config{Name: "node-a", Version: "test"})
}

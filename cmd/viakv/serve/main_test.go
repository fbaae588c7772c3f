package serve_test

import (
	"testing"

	"viakv/api/apitest"
)

func TestMain(m *testing.M) { apitest.VerifyNoLeaks(m) }

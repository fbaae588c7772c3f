package peer

import "testing"

func TestASerialClientIsSeenAfterARow(t *testing.T) {
	var s serial
	if !s.observe(1) {
		t.Error("the first request of a node is not serial")
	}
	if s.observe(2) {
		t.Error("one of two requests is serial")
	}
	for i := range serialRun {
		if s.observe(1) {
			t.Fatalf("serial after %d requests", i)
		}
	}
	if !s.observe(1) {
		t.Error("not serial after the row of requests")
	}
}

package peer

import "testing"

func TestASerialClientIsSeenAfterARow(t *testing.T) {
	var s serial
	if !s.observe(1) {
		t.Error("a node that never had company is not alone")
	}
	if s.observe(2) {
		t.Error("two are alone")
	}
	for i := range serialRun {
		if s.observe(1) {
			t.Fatalf("alone after %d requests", i)
		}
	}
	if !s.observe(1) {
		t.Error("not alone after the row")
	}
}

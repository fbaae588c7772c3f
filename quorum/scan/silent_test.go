package scan

import (
	"testing"

	"viakv/api/kv"
)

// A member that owes an answer may cost a scan a time-out for each question: it is asked when no
// other is left.
func TestAScanAsksTheSilentLast(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(300)
	s.nodes[0].owes[1].Store(true)
	for range 2 { // the peers take turns
		wantKeys(t, drain(t, s.scan(0, kv.ScanOptions{})), 300)
	}
	if s.asked[1] != 0 || s.asked[2] == 0 {
		t.Errorf("asked the silent member %d times, the other %d times", s.asked[1], s.asked[2])
	}
	s.nodes[0].owes[2].Store(true)
	wantKeys(t, drain(t, s.scan(0, kv.ScanOptions{})), 300)
}

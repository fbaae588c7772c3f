package quorum

import "testing"

func TestTally(t *testing.T) {
	v := tally{need: 2, voters: 0b111}
	v.record(0, &v.yes)
	v.record(5, &v.yes) // no voter
	v.record(0, &v.yes) // again
	if got := v.verdict(); got != pending {
		t.Fatal(got)
	}
	v.record(1, &v.no)
	v.record(2, &v.failed)
	if got := v.verdict(); got != impossible {
		t.Fatal(got)
	}
	v = tally{need: 2, voters: 0b111, yes: 0b101}
	if got := v.verdict(); got != met {
		t.Fatal(got)
	}
}

package kv

import "testing"

// The name of a quorum is what r, w and the flags accept.
func TestQuorumsHaveTheNamesOfTheirParameters(t *testing.T) {
	for q, want := range map[Quorum]string{QuorumDefault: "quorum", QuorumMajority: "quorum", QuorumAll: "all", 3: "3"} {
		if got := q.String(); got != want {
			t.Errorf("%d: %q, want %q", int(q), got, want)
		}
	}
}

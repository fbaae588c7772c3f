package serve

import (
	"testing"

	"pgregory.net/rapid"

	"viakv/api/kv"
)

func TestQuorumValue(t *testing.T) {
	for text, want := range map[string]kv.Quorum{
		"majority": kv.QuorumMajority, "quorum": kv.QuorumMajority, "all": kv.QuorumAll, "1": 1, "12": 12,
	} {
		var q quorumValue
		if err := q.Set(text); err != nil || kv.Quorum(q) != want {
			t.Errorf("%q: %v, error %v; want %v", text, q, err, want)
		}
		var again quorumValue
		if err := again.Set(q.String()); err != nil || again != q {
			t.Errorf("%q is shown as %q, which reads as %v", text, q.String(), again)
		}
	}
	for _, text := range []string{"", "0", "-1", "none", "1.5"} {
		var q quorumValue
		if err := q.Set(text); err == nil {
			t.Errorf("%q was taken for %v", text, q)
		}
	}
}

func TestBytesValue(t *testing.T) {
	for text, want := range map[string]bytesValue{
		"0": 0, "1000000": 1e6, "4GiB": 4 << 30, "1.5GiB": 3 << 29, "512 MiB": 512 << 20, "10GB": 1e10, "7B": 7, "1KiB": 1024, "2TiB": 2 << 40,
	} {
		var b bytesValue
		if err := b.Set(text); err != nil || b != want {
			t.Errorf("%q: %d, error %v; want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "much", "-1", "4G", "NaN", "1e30GiB"} {
		var b bytesValue
		if err := b.Set(text); err == nil {
			t.Errorf("%q was taken for %d", text, b)
		}
	}
}

func TestBytesValueReadsWhatItShows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := bytesValue(rapid.Int64Range(0, 1<<52).Draw(t, "bytes"))
		var again bytesValue
		if err := again.Set(b.String()); err != nil || again != b {
			t.Fatalf("%d is shown as %q, which reads as %d, error %v", int64(b), b.String(), int64(again), err)
		}
	})
}

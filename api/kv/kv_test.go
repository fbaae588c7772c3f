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

func TestParseQuorum(t *testing.T) {
	for text, want := range map[string]Quorum{"quorum": QuorumMajority, "all": QuorumAll, "1": 1, "3": 3, "1000": MaxQuorum} {
		if q, ok := ParseQuorum(text); q != want || !ok || q.String() != text {
			t.Errorf("%q: %v %v, want %v, whose name is the same text", text, q, ok, want)
		}
	}
	for _, bad := range []string{"", "0", "01", "+1", "-1", "1.0", "1001", " 1", "1 ", "All", "majority", "0x1", "18446744073709551617", "١"} {
		if q, ok := ParseQuorum(bad); ok || q != QuorumDefault {
			t.Errorf("%q is a quorum: %v", bad, q)
		}
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 2 << 20: "2.0 MiB", 9437184 + 500_000: "9.5 MiB",
		256<<20 + 400_000: "256.4 MiB", 3 << 30: "3.0 GiB", 5 << 50: "5120.0 TiB",
	} {
		if got := Size(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}

func TestTraces(t *testing.T) {
	const header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	trace, ok := ParseTrace([]byte(header))
	if !ok || trace.IsZero() || trace.String() != header || trace.Flags != 1 || trace.ID[0] != 0x4b || trace.Parent[7] != 0xb7 {
		t.Errorf("%v %v", trace, ok)
	}
	for _, bad := range []string{
		"", "01" + header[2:], header + "0", header[:54], "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00x4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-x1",
	} {
		if trace, ok := ParseTrace([]byte(bad)); ok || !trace.IsZero() {
			t.Errorf("%q is a trace: %v", bad, trace)
		}
	}
}

// FuzzParseTrace checks that a trace that is accepted is passed on as it came.
func FuzzParseTrace(f *testing.F) {
	f.Add([]byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	f.Add([]byte("00-00000000000000000000000000000000-b7ad6b7169203331-01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if trace, ok := ParseTrace(b); ok && string(trace.Append(nil)) != string(b) {
			t.Errorf("%q is passed on as %q", b, trace.Append(nil))
		}
	})
}

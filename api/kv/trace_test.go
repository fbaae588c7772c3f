package kv

import "testing"

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

package kv

import "testing"

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

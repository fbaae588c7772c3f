package bench_test

import (
	"errors"
	"testing"

	"viakv/bench"
)

func TestLoopback(t *testing.T) {
	for _, target := range []string{"http://127.0.0.1:8080", "127.0.0.9:1", "localhost", "http://[::1]:80", "https://localhost:1/"} {
		if err := bench.Loopback(t.Context(), target); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []string{"http://192.0.2.7:8080", "198.51.100.1", "http://[2001:db8::1]:80"} {
		if err := bench.Loopback(t.Context(), target); !errors.Is(err, bench.ErrRemote) {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []string{"http://no-such-host.invalid", "http://\x7f"} {
		if err := bench.Loopback(t.Context(), target); err == nil || errors.Is(err, bench.ErrRemote) {
			t.Errorf("%q: %v", target, err)
		}
	}
}

package client

import (
	"net"
	"testing"
)

// FuzzEndpoint checks that an endpoint that is accepted has a host and a port to dial.
func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"127.0.0.1:8081", "https://kv.example.com", "http://[::1]:1/", "[fe80::1%25eth0]:1", "http://a:b@c", "://", "http://a:", "]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		address, _, err := parseEndpoint(s)
		if err != nil {
			return
		}
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			t.Errorf("%q is %q (%v)", s, address, err)
		}
	})
}

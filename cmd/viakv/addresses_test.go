package main

import (
	"net"
	"os"
	"testing"
)

func TestDialable(t *testing.T) {
	for address, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "127.0.0.1:8080",
		"127.0.0.1:8080": "127.0.0.1:8080", "node-a:8080": "node-a:8080", "[::1]:8080": "[::1]:8080",
	} {
		if got := dialable(address); got != want {
			t.Errorf("%q is dialled as %q, want %q", address, got, want)
		}
	}
}

func TestAdvertised(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		configured, listening, want string
	}{
		{"public:80", "0.0.0.0:8080", "public:80"},
		{"", "127.0.0.1:8080", "127.0.0.1:8080"},
		{"", "0.0.0.0:8080", net.JoinHostPort(host, "8080")},
		{"", "[::]:8080", net.JoinHostPort(host, "8080")},
	} {
		listening, err := net.ResolveTCPAddr("tcp", c.listening)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := advertised(c.configured, listening); err != nil || got != c.want {
			t.Errorf("configured %q, listening on %s: told as %q, error %v; want %q", c.configured, c.listening, got, err, c.want)
		}
	}
}

func TestAddressList(t *testing.T) {
	got, err := addressList("seeds", []string{"a:1", " b:2 ", "", "[::1]:3"})
	if err != nil || len(got) != 3 || got[1] != "b:2" {
		t.Errorf("%v, error %v", got, err)
	}
}

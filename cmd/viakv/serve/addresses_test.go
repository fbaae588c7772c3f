package serve

import (
	"net"
	"os"
	"strings"
	"testing"
)

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
	got, err := addressList("--seeds", []string{"a:1", " b:2 ", "", "[::1]:3"})
	if err != nil || len(got) != 3 || got[1] != "b:2" {
		t.Errorf("%v, error %v", got, err)
	}
}

func TestAddressesThatLeadNowhere(t *testing.T) {
	for _, v := range []string{":9080", "0.0.0.0:9080", "[::]:9080", "node-a:0", "node-a", "node-a:"} {
		for name, c := range map[string]Config{"advertise-peer": {advertisePeer: v}, "advertise-http": {advertiseHTTP: v}} {
			c.http, c.peer, c.timeout, c.hedge, c.maxConnections, c.maxInFlight, c.maxScans, c.maxLoads = ":8080", ":9080", 1, 1, 1, 1, 1, 1
			if err := c.Check(); err == nil || !strings.Contains(err.Error(), "--"+name) {
				t.Errorf("--%s %s: %v", name, v, err)
			}
		}
		if _, err := addressList("--seeds", []string{"node-b:9080", v}); err == nil {
			t.Errorf("--seeds %s is taken", v)
		}
	}
	for _, v := range []string{"node-a:9080", "10.0.0.1:9080", "[fe80::1%eth0]:9080"} {
		if err := checkDialable("--seeds", v); err != nil {
			t.Error(err)
		}
	}
}

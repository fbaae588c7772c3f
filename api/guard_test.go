package api

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// On loopback without tokens, only the Host header tells a page of this server from a page whose
// name was made to point here.
func TestForeignHosts(t *testing.T) {
	h := start(t, Config{Hosts: []string{"kv.example.com"}})
	_, port, err := net.SplitHostPort(h.addr)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for host, own := range map[string]bool{
		h.addr: true, "127.0.0.1": true, "10.0.0.7:" + port: true, "[::1]:" + port: true, "[fd00::7]": true,
		"localhost": true, "LocalHost:" + port: true, "localhost.:80": true, "node-a.localhost:8080": true, "envoy:8080": true, "node-a": true,
		"kv.example.com": true, "KV.Example.com.:" + port: true,
		"evil.example": false, "evil.example:" + port: false, "127.0.0.1.evil.example": false, "localhost.evil.example": false,
		"kv.example.com.evil.example": false, "xkv.example.com": false, "7.evil": false,
	} {
		for _, target := range []string{"/set?k=a&v=1", "/get?k=a", "/getAll", "/cluster", "/leave"} {
			a := h.get(target, "Host", host)
			if a.status == 421 == own {
				t.Errorf("%s under %s: %d", target, host, a.status)
			}
			if !own {
				refused++
				if p := a.problem(t, 421, "misdirected"); !strings.Contains(p.Detail, "--hosts") || p.Outcome != "none" {
					t.Errorf("%+v", p)
				}
			}
		}
		// Proxies and probes use names of their own.
		for _, target := range []string{"/livez", "/readyz", "/metrics", "/version"} {
			h.get(target, "Host", host).want(t, 200, "*")
		}
	}
	if !strings.Contains(h.get("/metrics").body, fmt.Sprintf("viakv_http_denied_requests_total{reason=\"host\"} %d\n", refused)) {
		t.Error("the refusals are not counted")
	}
}

func TestEveryHostWhereSomethingElseGuards(t *testing.T) {
	foreign := []string{"Host", "evil.example"}
	start(t, Config{Hosts: []string{"*"}}).get("/set?k=a&v=1", foreign...).want(t, 200, "*")

	h := start(t, Config{TokenFile: tokenFile(t, "write "+strings.Repeat("w", 20)+" w\n")})
	h.get("/set?k=a&v=1", append(foreign, "Authorization", "Bearer "+strings.Repeat("w", 20))...).want(t, 200, "*")
	h.get("/set?k=a&v=1", foreign...).problem(t, 401, "unauthenticated")

	l := listener(t)
	open := startAt(t, Config{}, elsewhere{l})
	open.addr = l.Addr().String()
	open.get("/set?k=a&v=1", foreign...).want(t, 200, "*")
}

// elsewhere is a listener whose address is not on loopback.
type elsewhere struct{ net.Listener }

func (elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// The host that a request is for is that of its target, if the target has one, and otherwise that
// of the Host header. It decides whether the request is answered, and whether the request came from
// the same site.
func TestTargetsAreJudgedByTheirAuthority(t *testing.T) {
	store := &recorder{}
	h := start(t, Config{Store: store, Hosts: []string{"kv.example.com"}})
	for name, c := range map[string]struct {
		target string // of a GET, with the version
		header string
		status int
	}{
		"the target's host is a stranger's":            {"http://evil.example/set?k=x&v=1 HTTP/1.1", "Host: localhost", 421},
		"and a port does not help":                     {"http://evil.example:80/set?k=x&v=1 HTTP/1.1", "Host: localhost:80", 421},
		"nor do capitals":                              {"HTTP://EVIL.example/set?k=x&v=1 HTTP/1.1", "Host: localhost", 421},
		"nor https":                                    {"https://evil.example/set?k=x&v=1 HTTP/1.1", "Host: localhost", 421},
		"nor HTTP/1.0":                                 {"http://evil.example/set?k=x&v=1 HTTP/1.0", "X: y", 421},
		"nor HTTP/1.0 with a host":                     {"http://evil.example/set?k=x&v=1 HTTP/1.0", "Host: localhost", 421},
		"the target's host is this one":                {"http://localhost/set?k=x&v=1 HTTP/1.1", "Host: evil.example", 200},
		"the target's host is allowed":                 {"http://KV.example.com:8080/set?k=x&v=1 HTTP/1.1", "Host: evil.example", 200},
		"the target's host is an address":              {"http://[::1]:8080/set?k=x&v=1 HTTP/1.1", "Host: evil.example", 200},
		"of HTTP/1.0":                                  {"http://127.0.0.1/set?k=x&v=1 HTTP/1.0", "X: y", 200},
		"a dot at the end":                             {"http://kv.example.com./set?k=x&v=1 HTTP/1.1", "Host: evil.example", 200},
		"a stranger with a dot at the end":             {"http://evil.example./set?k=x&v=1 HTTP/1.1", "Host: localhost", 421},
		"an endpoint that reads":                       {"http://evil.example/get?k=x HTTP/1.1", "Host: localhost", 421},
		"a probe":                                      {"http://evil.example/livez HTTP/1.1", "Host: localhost", 200},
		"user information":                             {"http://localhost@evil.example/set?k=x&v=1 HTTP/1.1", "Host: localhost", 400},
		"user information before this host":            {"http://evil.example@localhost/set?k=x&v=1 HTTP/1.1", "Host: localhost", 400},
		"a password":                                   {"http://a:b@localhost/set?k=x&v=1 HTTP/1.1", "Host: localhost", 400},
		"another scheme":                               {"ftp://localhost/set?k=x&v=1 HTTP/1.1", "Host: localhost", 400},
		"no host in the target":                        {"http:///set?k=x&v=1 HTTP/1.1", "Host: localhost", 400},
		"a port alone in the target":                   {"http://:80/set?k=x&v=1 HTTP/1.1", "Host: localhost", 400},
		"no port behind the colon":                     {"http://localhost:/set?k=x&v=1 HTTP/1.1", "Host: localhost", 200},
		"a port that is none":                          {"http://localhost:8o/set?k=x&v=1 HTTP/1.1", "Host: localhost", 400},
		"a host with a percent sign":                   {"http://evil%2eexample/set?k=x&v=1 HTTP/1.1", "Host: localhost", 400},
		"a backslash":                                  {"http://localhost\\@evil.example/set?k=x&v=1 HTTP/1.1", "Host: localhost", 400},
		"nothing behind the host":                      {"http://localhost HTTP/1.1", "Host: localhost", 404},
		"a query behind the host":                      {"http://localhost?k=x&v=1 HTTP/1.1", "Host: localhost", 404},
		"a fragment behind the host":                   {"http://localhost#/set?k=x&v=1 HTTP/1.1", "Host: localhost", 400},
		"a host that is none beside a target with one": {"http://localhost/set?k=x&v=1 HTTP/1.1", "Host: evil example", 400},
		"no host beside a target with one":             {"http://localhost/set?k=x&v=1 HTTP/1.1", "X: y", 400},
		"an empty host beside a target with one":       {"http://localhost/set?k=x&v=1 HTTP/1.1", "Host:", 400},
		"two hosts beside a target with one":           {"http://localhost/set?k=x&v=1 HTTP/1.1", "Host: localhost\r\nHost: localhost", 400},
		"a path that looks like a target":              {"/set?k=x&v=http://evil.example/ HTTP/1.1", "Host: localhost", 200},
		"a path that begins with two slashes":          {"//localhost/set?k=x&v=1 HTTP/1.1", "Host: localhost", 404},
		"such a path that looks like a target":         {"//localhost/set?k=x&v=http://x HTTP/1.1", "Host: evil.example", 404},
		"a fragment before the query":                  {"/set#?k=x&v=1 HTTP/1.1", "Host: localhost", 400},
		"a Host header with a stranger's name":         {"/set?k=x&v=1 HTTP/1.1", "Host: evil.example", 421},
		"and user information":                         {"/set?k=x&v=1 HTTP/1.1", "Host: localhost@evil.example", 400},
		"and a stranger's user information":            {"/set?k=x&v=1 HTTP/1.1", "Host: evil.example@localhost", 400},
		"no Host header":                               {"/set?k=x&v=1 HTTP/1.1", "X: y", 400},
		"no Host header in HTTP/1.0":                   {"/set?k=x&v=1 HTTP/1.0", "X: y", 200},
		"an empty Host header":                         {"/set?k=x&v=1 HTTP/1.1", "Host: ", 400},
		"two Host headers":                             {"/set?k=x&v=1 HTTP/1.1", "Host: localhost\r\nHost: evil.example", 400},
		"the same Host header twice":                   {"/set?k=x&v=1 HTTP/1.1", "Host: localhost\r\nhost: localhost", 400},
		"two hosts in a Host header":                   {"/set?k=x&v=1 HTTP/1.1", "Host: localhost,evil.example", 400},
		"a path in the Host header":                    {"/set?k=x&v=1 HTTP/1.1", "Host: localhost/x", 400},
		"a query in the Host header":                   {"/set?k=x&v=1 HTTP/1.1", "Host: localhost?x", 400},
		"a fragment in the Host header":                {"/set?k=x&v=1 HTTP/1.1", "Host: localhost#x", 400},
		"a backslash in the Host header":               {"/set?k=x&v=1 HTTP/1.1", "Host: localhost\\x", 400},
		"a scheme in the Host header":                  {"/set?k=x&v=1 HTTP/1.1", "Host: http://localhost", 400},
		"a space in the Host header":                   {"/set?k=x&v=1 HTTP/1.1", "Host: local host", 400},
		"a tab in the Host header":                     {"/set?k=x&v=1 HTTP/1.1", "Host: localhost\tx", 400},
		"a byte beyond ASCII":                          {"/set?k=x&v=1 HTTP/1.1", "Host: \xff", 400},
		"a percent sign in the Host header":            {"/set?k=x&v=1 HTTP/1.1", "Host: evil%2eexample", 400},
		"a port alone":                                 {"/set?k=x&v=1 HTTP/1.1", "Host: :80", 400},
		"a dot alone":                                  {"/set?k=x&v=1 HTTP/1.1", "Host: .", 400},
		"a port with a sign":                           {"/set?k=x&v=1 HTTP/1.1", "Host: localhost:+80", 400},
		"two ports":                                    {"/set?k=x&v=1 HTTP/1.1", "Host: localhost:80:80", 400},
		"an underscore":                                {"/set?k=x&v=1 HTTP/1.1", "Host: viakv_node:80", 200},
		"an address of version 6":                      {"/set?k=x&v=1 HTTP/1.1", "Host: [::ffff:127.0.0.1]:80", 200},
		"one without brackets":                         {"/set?k=x&v=1 HTTP/1.1", "Host: ::1", 400},
		"one that does not end":                        {"/set?k=x&v=1 HTTP/1.1", "Host: [::1", 400},
		"one with something behind it":                 {"/set?k=x&v=1 HTTP/1.1", "Host: [::1]evil.example", 400},
		"one that is a name":                           {"/set?k=x&v=1 HTTP/1.1", "Host: [evil.example]", 400},
		"one with a zone as in a URI":                  {"/set?k=x&v=1 HTTP/1.1", "Host: [fe80::1%25lo]:80", 200},
		"one with a zone as programs print it":         {"/set?k=x&v=1 HTTP/1.1", "Host: [fe80::1%lo]:80", 400},
		"what a proxy says of its own host":            {"/set?k=x&v=1 HTTP/1.1", "Host: evil.example\r\nX-Forwarded-Host: localhost\r\nForwarded: host=localhost\r\nX-Host: localhost\r\nX-Original-Host: localhost", 421},
		"what a proxy says of a stranger":              {"/set?k=x&v=1 HTTP/1.1", "Host: localhost\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example", 200},
		"what a proxy says of the path":                {"/livez HTTP/1.1", "Host: localhost\r\nX-Original-URL: /nothing\r\nX-Rewrite-URL: /nothing\r\nX-HTTP-Method-Override: PUT", 200},
		"the origin is the target's":                   {"http://localhost/set?k=x&v=1 HTTP/1.1", "Host: evil.example\r\nOrigin: http://localhost", 200},
		"the origin is the Host header's":              {"http://localhost/set?k=x&v=1 HTTP/1.1", "Host: kv.example.com\r\nOrigin: http://kv.example.com", 403},
		"the origin is what the proxy says":            {"/set?k=x&v=1 HTTP/1.1", "Host: localhost\r\nX-Forwarded-Host: evil.example\r\nOrigin: http://evil.example", 403},
		"the origin leaves its port out":               {"/set?k=x&v=1 HTTP/1.1", "Host: localhost:80\r\nOrigin: http://localhost", 200},
		"the origin says its port":                     {"/set?k=x&v=1 HTTP/1.1", "Host: localhost\r\nOrigin: https://localhost:443", 200},
		"the origin has the port of another scheme":    {"/set?k=x&v=1 HTTP/1.1", "Host: localhost:80\r\nOrigin: https://localhost", 403},
		"the origin has another port":                  {"/set?k=x&v=1 HTTP/1.1", "Host: localhost\r\nOrigin: http://localhost:8080", 403},
		"the origin is an address of version 6":        {"/set?k=x&v=1 HTTP/1.1", "Host: [::1]\r\nOrigin: http://[::1]:80", 200},
		"the origin has an address without a port":     {"/set?k=x&v=1 HTTP/1.1", "Host: [::1]:81\r\nOrigin: http://[::1]", 403},
		"the origin has a dot at the end":              {"/set?k=x&v=1 HTTP/1.1", "Host: localhost\r\nOrigin: http://localhost.", 403},
	} {
		t.Run(name, func(t *testing.T) {
			before := store.calls.Load()
			got := responses(t, h.raw("GET "+c.target+"\r\n"+c.header+"\r\nConnection: close\r\n\r\n"))
			if len(got) != 1 || got[0].status != c.status {
				t.Fatalf("%+v, want %d", got, c.status)
			}
			switch c.status {
			case 400:
				got[0].problem(t, 400, "malformed")
			case 403:
				got[0].problem(t, 403, "cross-site")
			case 421:
				got[0].problem(t, 421, "misdirected")
			}
			if n := store.calls.Load() - before; (n > 0) != (c.status == 200 && strings.Contains(c.target, "/set")) {
				t.Errorf("the store was called %d times", n)
			}
		})
	}
}

// A request that is refused for its target has its connection closed, as one that is refused for
// its framing has.
func TestABadTargetClosesTheConnection(t *testing.T) {
	store := &recorder{}
	h := start(t, Config{Store: store})
	for _, request := range []string{
		"GET /set?k=x&v=1 HTTP/1.1\r\nHost: a@b\r\n\r\n", "GET http:///set?k=x&v=1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET ftp://a/set?k=x&v=1 HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		if got := responses(t, h.raw(request+nextRequest)); len(got) != 1 || got[0].status != 400 {
			t.Errorf("%q: %+v", request, got)
		}
	}
	if n := store.calls.Load(); n != 0 {
		t.Errorf("the store was called %d times", n)
	}
}

// The other forms of a target name nothing that is served.
func TestTargetsWithoutAPath(t *testing.T) {
	store := &recorder{}
	h := start(t, Config{Store: store})
	for _, c := range []struct {
		line   string
		status int
	}{
		{"OPTIONS *", 404}, {"GET *", 400}, {"GET set?k=x&v=1", 400}, {"GET localhost/set?k=x&v=1", 400},
		{"CONNECT localhost:80", 404}, {"CONNECT evil.example:80", 404}, {"CONNECT /set?k=x&v=1", 405}, {"CONNECT http://localhost/set?k=x&v=1", 405},
		{"OPTIONS http://evil.example/set?k=x&v=1", 405}, {"OPTIONS /nothing", 404},
	} {
		if got := responses(t, h.raw(c.line+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")); len(got) != 1 || got[0].status != c.status {
			t.Errorf("%s: %+v, want %d", c.line, got, c.status)
		}
	}
	if n := store.calls.Load(); n != 0 {
		t.Errorf("the store was called %d times", n)
	}
}

// A page whose name was made to point at this machine must not read profiles either. Without
// tokens, only the host name guards them.
func TestProfilesUnderForeignHosts(t *testing.T) {
	h := start(t, Config{Hosts: []string{"kv.example.com"}})
	admin := h.as(t)
	admin.addr = h.admin(t)
	for host, status := range map[string]int{"evil.example": 421, "localhost": 200, admin.addr: 200, "kv.example.com": 200} {
		if a := admin.get("/debug/pprof/cmdline", "Host", host); a.status != status {
			t.Errorf("under %s: %d %s", host, a.status, a.body)
		}
		admin.get("/metrics", "Host", host).want(t, 200, "*")
	}
	if got := responses(t, admin.raw("GET http://evil.example/debug/pprof/cmdline HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")); got[0].status != 421 {
		t.Errorf("%+v", got)
	}
	if got := responses(t, admin.raw("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")); got[0].status != 400 {
		t.Errorf("%+v", got)
	}
}

// A proxy's long description of itself is accepted, however the proxy writes the target.
func TestDiscoveryUnderAWholeTarget(t *testing.T) {
	answered := 0
	h := start(t, Config{Discovery: func(ctx *fasthttp.RequestCtx) {
		answered += len(ctx.Request.Body())
		ctx.SetStatusCode(200)
	}})
	const size = 100 << 10
	for _, target := range []string{discoveryPath, "http://nodes" + discoveryPath} {
		request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: nodes\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", target, size)
		if got := responses(t, h.raw(request+strings.Repeat("x", size))); got[0].status != 200 {
			t.Errorf("%s: %+v", target, got)
		}
	}
	if answered != 2*size {
		t.Errorf("%d bytes arrived, want %d", answered, 2*size)
	}
}

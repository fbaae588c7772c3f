package api

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// A browser's request for another site must change nothing. Requests of the site itself and of
// other programs pass.
func TestCrossSiteRequests(t *testing.T) {
	h := start(t, Config{Origins: []string{"https://ops.example.com"}, Hosts: []string{"kv.example"}})
	for _, c := range []struct {
		headers []string
		refused bool
	}{
		{nil, false},
		{[]string{"Sec-Fetch-Site", "same-origin"}, false},
		{[]string{"Sec-Fetch-Site", "none"}, false},
		{[]string{"Sec-Fetch-Site", "cross-site"}, true},
		{[]string{"Sec-Fetch-Site", "same-site"}, true},
		{[]string{"Sec-Fetch-Site", "else"}, true},
		{[]string{"Origin", "null"}, true},
		{[]string{"Origin", "https://evil.example"}, true},
		{[]string{"Origin", "http://" + h.addr}, false},
		{[]string{"Origin", "https://" + h.addr}, false},
		{[]string{"Origin", "http://" + h.addr + ".evil.example"}, true},
		{[]string{"Origin", "http://user@" + h.addr}, true},
		{[]string{"Origin", "http://127.0.0.1:1"}, true},
		{[]string{"Origin", h.addr}, true},
		{[]string{"Origin", "http://" + h.addr, "Sec-Fetch-Site", "cross-site"}, true},
		{[]string{"Origin", "https://ops.example.com", "Sec-Fetch-Site", "cross-site"}, false},
		{[]string{"Origin", "http://ops.example.com"}, true},
		{[]string{"Host", "kv.example", "Origin", "https://KV.example"}, false},
	} {
		for _, target := range []string{"/set?k=a&v=1", "/rm?k=none", "/clear", "/join?peer=a:1", "/leave", "/reads?mode=lease"} {
			for _, method := range []string{"GET", "POST"} {
				a := h.do(method, target, nil, c.headers...)
				if refused := a.status == 403; refused != c.refused {
					t.Errorf("%s %s with %v: %d %s", method, target, c.headers, a.status, a.body)
				}
				if c.refused {
					a.problem(t, 403, "cross-site")
				}
			}
		}
		// Reads pass, whatever the headers say.
		for _, target := range []string{"/getAll", "/is?k=a", "/cluster"} {
			if a := h.get(target, c.headers...); a.status == 403 {
				t.Errorf("%s with %v: %d", target, c.headers, a.status)
			}
		}
	}
	if !strings.Contains(h.get("/metrics").body, `viakv_http_denied_requests_total{reason="origin"} 132`) {
		t.Error("the refusals are not counted")
	}
}

const (
	readToken  = "read-0123456789abcdef"
	writeToken = "write-0123456789abcdef"
	adminToken = "admin-0123456789abcdef"
)

// tokenFile writes a token file and returns its path.
func tokenFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	write(t, path, content)
	return path
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	file := tokenFile(t, "# of the test\n\nread "+readToken+" dashboard\r\nwrite "+writeToken+"\nadmin\t"+adminToken+" Ada L.\nread "+adminToken+"\n")
	core, logs := observer.New(zap.DebugLevel)
	h := start(t, Config{TokenFile: file, Logger: zap.New(core)})
	needs := map[string]tokenRole{
		"/get?k=a": roleRead, "/is?k=a": roleRead, "/getKeys": roleRead, "/getValues": roleRead, "/getAll": roleRead, "/cluster": roleRead, "/metrics": roleRead,
		"/set?k=a&v=1": roleWrite, "/rm?k=a": roleWrite,
		"/clear": roleAdmin, "/join?peer=a:1": roleAdmin, "/leave": roleAdmin, "/leave?force=true&node=n": roleAdmin,
		"/reads?mode=lease": roleAdmin,
		"/livez":            roleNone, "/readyz": roleNone, "/version": roleNone, "/openapi.yaml": roleNone, "/nothing": roleNone,
	}
	for _, c := range []struct {
		authorization string
		role          tokenRole
	}{
		{"", roleNone}, {"Bearer", roleNone}, {"Bearer ", roleNone}, {"Bearer wrong", roleNone}, {"Basic " + adminToken, roleNone},
		{"Bearer " + adminToken + "x", roleNone}, {"Bearer " + adminToken[:21], roleNone}, {adminToken, roleNone},
		{"Bearer " + readToken, roleRead}, {"bearer  " + readToken, roleRead}, {"Bearer " + writeToken, roleWrite}, {"Bearer " + adminToken, roleAdmin},
	} {
		for target, needed := range needs {
			a := h.get(target, "Authorization", c.authorization)
			switch {
			case c.role >= needed:
				if a.status == 401 || a.status == 403 {
					t.Errorf("%q, %s: %d %s", c.authorization, target, a.status, a.body)
				}
			case c.role == roleNone:
				a.problem(t, 401, "unauthenticated")
				if !strings.HasPrefix(a.header.Get("Www-Authenticate"), `Bearer realm="viakv"`) {
					t.Errorf("%q, %s: headers %v", c.authorization, target, a.header)
				}
			default:
				p := a.problem(t, 403, "forbidden")
				if !strings.Contains(p.Detail, needed.String()) {
					t.Errorf("%q, %s: %+v", c.authorization, target, p)
				}
			}
		}
	}
	// An administrative request is logged with the token's name, and no token is ever logged.
	h.get("/clear", "Authorization", "Bearer "+adminToken).want(t, 200, "OK\n")
	audit := logs.FilterMessage("an administrative request was carried out").FilterField(zap.String("endpoint", "/clear")).All()
	if len(audit) == 0 || audit[0].ContextMap()["token"] != "Ada L." {
		t.Errorf("the log says %v", audit)
	}
	for _, e := range logs.All() {
		for _, secret := range []string{readToken, writeToken, adminToken} {
			if s := strings.Join(append(stringsOf(e.ContextMap()), e.Message), " "); strings.Contains(s, secret) {
				t.Errorf("a token is in the log: %s", s)
			}
		}
	}
}

func stringsOf(m map[string]any) (out []string) {
	for _, v := range m {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Changes of the file take effect. A file that cannot be read leaves the former tokens in force.
func TestTokensAreReloaded(t *testing.T) {
	t.Parallel()
	file := tokenFile(t, "read "+readToken+"\n")
	core, logs := observer.New(zap.DebugLevel)
	h := start(t, Config{TokenFile: file, Logger: zap.New(core)})
	status := func(token string) int { return h.get("/getKeys", "Authorization", "Bearer "+token).status }
	if status(readToken) != 200 || status(writeToken) != 401 {
		t.Fatal("the first file is not in force")
	}
	write(t, file, "write "+writeToken+"\n")
	eventually(t, "the change is in force", func() bool { return status(readToken) == 401 && status(writeToken) == 200 })
	write(t, file, "nonsense\n")
	eventually(t, "the fault is logged", func() bool {
		return status(writeToken) == 200 && logs.FilterMessageSnippet("was not taken over").Len() == 1
	})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loss is logged", func() bool {
		return status(writeToken) == 200 && logs.FilterMessageSnippet("was not taken over").Len() == 2
	})
	write(t, file, "admin "+adminToken+"\n")
	eventually(t, "the new file is in force", func() bool { return status(writeToken) == 401 && status(adminToken) == 200 })
}

// Reload loads what files hold, even when nothing shows that they have changed.
func TestReload(t *testing.T) {
	const first, second = "0123456789abcdef", "fedcba9876543210"
	file := filepath.Join(t.TempDir(), "tokens")
	stamp := time.Now().Add(-time.Hour)
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	write("read " + first + " somebody\n")
	core, logs := observer.New(zap.InfoLevel)
	h := start(t, Config{TokenFile: file, Logger: zap.New(core)})
	status := func(token string) int { return h.get("/get?k=a", "Authorization", "Bearer "+token).status }
	if status(first) != 404 || status(second) != 401 {
		t.Fatal("the first token does not count")
	}
	write("read " + second + " somebody\n")
	h.server.Reload()
	if status(first) != 401 || status(second) != 404 {
		t.Error("the second token does not count")
	}
	write("nonsense\n")
	h.server.Reload()
	if status(second) != 404 {
		t.Error("a file with a fault was taken over")
	}
	if n := logs.FilterMessageSnippet("taken over").Len(); n != 2 {
		t.Errorf("%d log lines for two reloads, want 2", n)
	}
}

func TestBadTokenFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	for content, want := range map[string]string{
		"":                                   "no token",
		"# nothing\n":                        "no token",
		"read " + readToken + "\nroot x\n":   "line 2",
		"read short\n":                       "at least 16",
		"read\n":                             "at least 16",
		"read 0123456789abcdef\"\n":          "letters, digits",
		"admin 0123456789abcdéf-secret-yes ": "letters, digits",
	} {
		write(t, file, content)
		_, err := New(Config{Store: &recorder{}, TokenFile: file})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
	if _, err := New(Config{Store: &recorder{}, TokenFile: file + ".none"}); err == nil {
		t.Error("a missing file is accepted")
	}
}

func TestAdminListener(t *testing.T) {
	t.Parallel()
	file := tokenFile(t, "write "+writeToken+"\nadmin "+adminToken+"\n")
	h := start(t, Config{TokenFile: file, Version: "1.2.3", Name: "n1"})
	h.get("/debug/pprof/", "Authorization", "Bearer "+adminToken).problem(t, 404, "no-such-endpoint")
	h.addr = h.admin(t)
	for _, target := range []string{"/livez", "/readyz", "/metrics", "/version"} {
		h.get(target).want(t, 200, "*")
	}
	if v := h.get("/version").body; !strings.Contains(v, `"1.2.3"`) || !strings.Contains(v, `"n1"`) {
		t.Errorf("got %s", v)
	}
	for _, target := range []string{"/debug/pprof/", "/debug/pprof/heap?debug=1", "/debug/pprof/goroutine?debug=1",
		"/debug/pprof/cmdline", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=0.1", "/debug/pprof/symbol"} {
		h.get(target).problem(t, 401, "unauthenticated")
		h.get(target, "Authorization", "Bearer "+writeToken).problem(t, 403, "forbidden")
		a := h.get(target, "Authorization", "Bearer "+adminToken)
		if a.status != 200 || len(a.body) < 10 || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, %d bytes", target, a.status, len(a.body))
		}
	}
	p := h.get("/set?k=a&v=1", "Authorization", "Bearer "+adminToken).problem(t, 404, "no-such-endpoint")
	if len(p.Endpoints) != len(adminEndpoints) {
		t.Errorf("%+v", p)
	}
	h.do("POST", "/livez", nil).problem(t, 405, "method-not-allowed")
}

// What is open is logged in one line, and only when it can be reached from other machines.
func TestWhatIsOpenIsSaid(t *testing.T) {
	file := tokenFile(t, "read "+readToken+"\n")
	elsewhere, here := &net.TCPAddr{IP: net.IPv4zero, Port: 1}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	for name, c := range map[string]struct {
		config Config
		addr   net.Addr
		want   string
	}{
		"here":            {Config{}, here, ""},
		"elsewhere":       {Config{}, elsewhere, "open without tokens"},
		"tokens":          {Config{TokenFile: file}, elsewhere, "tokens without TLS"},
		"a pipe":          {Config{}, &net.UnixAddr{Name: "socket"}, ""},
		"tokens and here": {Config{TokenFile: file}, here, ""},
	} {
		core, logs := observer.New(zap.DebugLevel)
		c.config.Store, c.config.Logger = &recorder{}, zap.New(core)
		s, err := New(c.config)
		if err != nil {
			t.Fatal(err)
		}
		s.announce(c.addr)
		entries := logs.All()
		if c.want == "" && len(entries) != 0 || c.want != "" && (len(entries) != 1 || !strings.HasPrefix(entries[0].Message, c.want)) {
			t.Errorf("%s: %v", name, entries)
		}
	}
}

func TestRequestIDsAndTraces(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	h := start(t, Config{Logger: zap.New(core)})
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, c := range []struct{ id, trace, wantTrace string }{
		{"abc-123_./:+=~@", trace, trace},
		{"", "", ""},
		{"a b", strings.ToUpper(trace), ""},
		{strings.Repeat("x", 64), trace + "0", ""},
		{strings.Repeat("x", 65), "01" + trace[2:], ""},
		{"a\"b", "00-00000000000000000000000000000000-b7ad6b7169203331-01", ""},
		{"<script>", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", ""},
		{"é", "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", ""},
	} {
		for _, target := range []string{"/livez", "/get?k=none", "/nothing", "/getAll"} {
			logs.TakeAll()
			a := h.get(target, "X-Request-Id", c.id, "Traceparent", c.trace)
			got := a.header.Get("X-Request-Id")
			taken := len(c.id) > 0 && len(c.id) <= 64 && !strings.ContainsAny(c.id, " \"<é")
			if taken && got != c.id || !taken && (len(got) != 18 || got == c.id) {
				t.Errorf("%q: got id %q", c.id, got)
			}
			if a.header.Get("Traceparent") != c.wantTrace {
				t.Errorf("%q: got %q", c.trace, a.header.Get("Traceparent"))
			}
			eventually(t, "the request is logged", func() bool { return logs.FilterMessage("request").Len() > 0 })
			entry := logs.FilterMessage("request").All()[0].ContextMap()
			if entry["request"] != got || c.wantTrace != "" && entry["traceparent"] != c.wantTrace || entry["status"] != int64(a.status) {
				t.Errorf("logged %v", entry)
			}
		}
	}
	if a, b := h.get("/livez").header.Get("X-Request-Id"), h.get("/livez").header.Get("X-Request-Id"); a == b {
		t.Errorf("both got %s", a)
	}
}

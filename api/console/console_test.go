package console_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"viakv/api"
	"viakv/api/apitest"
	"viakv/api/console"
	"viakv/api/kv"
	"viakv/quorum/version"
)

// inspector answers as a cluster would.
type inspector struct{ asked chan string }

func (inspector) Placement() kv.Placement {
	return kv.Placement{Epoch: 3, Members: []string{"node-a", "node-b"}, Owners: []int{0, 1}}
}

func (inspector) Holdings(ctx context.Context) []kv.Holding {
	if _, bounded := ctx.Deadline(); !bounded {
		return nil
	}
	return []kv.Holding{{Member: "node-a", Keys: 7, Digest: "d"}, {Member: "node-b", Err: errors.New("gone")}}
}

func (i inspector) Copies(_ context.Context, key []byte) kv.KeyCopies {
	i.asked <- string(key)
	return kv.KeyCopies{Key: string(key), Partition: 5, Epoch: 3, Copies: []kv.Copy{
		{Member: "node-a", Record: version.Record{Tag: version.Tag{Generation: 4, Counter: 2, Incarnation: 1}, Vector: version.Vector{2, 1}, Value: []byte("v&1")}},
		{Member: "node-b", Record: version.Record{Tag: version.Tag{Generation: 4, Counter: 3, Incarnation: 1, Removed: true}}},
		{Member: "node-c"},
		{Member: "node-d", Err: errors.New("gone")},
	}}
}

// serve runs the API with a console, and returns its URL.
func serve(t *testing.T, of kv.Inspector, tokens string) string {
	t.Helper()
	config := api.Config{Store: struct{ kv.Store }{}, Console: console.New(of).Handle}
	if tokens != "" {
		config.TokenFile = filepath.Join(t.TempDir(), "tokens")
		if err := os.WriteFile(config.TokenFile, []byte(tokens), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return apitest.Serve(t, config)
}

func ask(t *testing.T, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// W1: nothing is inline, nothing is loaded from elsewhere, and every file that another one names is
// there.
func TestThePageKeepsToItsPolicy(t *testing.T) {
	at := serve(t, nil, "")
	seen := map[string]bool{}
	names := regexp.MustCompile(`(?:src|href)="(/console/[^"]+)"|from '\./([^']+)'`)
	var visit func(path string)
	visit = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		response, body := ask(t, "GET", at+path)
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, response.Status)
		}
		policy := response.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy has no %s: %s", path, part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || response.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, response.Header)
		}
		for _, wrong := range []string{"innerHTML", "eval(", " style=\"", "<style", " onclick=", "https://"} {
			if strings.Contains(body, wrong) {
				t.Errorf("%s contains %s", path, wrong)
			}
		}
		for _, m := range names.FindAllStringSubmatch(body, -1) {
			if m[1] != "" {
				visit(m[1])
			} else {
				visit("/console/" + m[2])
			}
		}
	}
	visit("/console")
	for _, path := range []string{"/console/app.js", "/console/base.css", "/console/views.css", "/console/icon.svg", "/console/plan.js", "/console/metrics.js"} {
		if !seen[path] {
			t.Errorf("the page does not lead to %s", path)
		}
	}
}

func TestFilesAreKeptUntilTheyChange(t *testing.T) {
	at := serve(t, nil, "")
	first, page := ask(t, "GET", at+"/console")
	etag := first.Header.Get("ETag")
	if etag == "" || first.Header.Get("Cache-Control") != "no-cache" || first.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%v", first.Header)
	}
	if _, same := ask(t, "GET", at+"/console/"); same != page {
		t.Error("/console/ is another page than /console")
	}
	for header, want := range map[string]int{
		etag: 304, "W/" + etag: 304, `"other", ` + etag: 304, "*": 304, `"other"`: 200, "": 200,
	} {
		response, body := ask(t, "GET", at+"/console", "If-None-Match", header)
		if response.StatusCode != want || (want == 304) != (body == "") || response.Header.Get("ETag") != etag {
			t.Errorf("If-None-Match %s: %s, %d bytes", header, response.Status, len(body))
		}
	}
	if script, _ := ask(t, "GET", at+"/console/app.js"); script.Header.Get("ETag") == etag || script.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("the script has %v", script.Header)
	}
	head, body := ask(t, "HEAD", at+"/console")
	if head.StatusCode != http.StatusOK || body != "" || head.ContentLength != int64(len(page)) {
		t.Errorf("HEAD: %s, %d bytes, length %d of %d", head.Status, len(body), head.ContentLength, len(page))
	}
	if post, _ := ask(t, "POST", at+"/console"); post.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", post.Status)
	}
}

func TestWhatIsNotThereIs404(t *testing.T) {
	at := serve(t, inspector{}, "")
	for _, path := range []string{"/console/none.js", "/console/page/app.js", "/console/../go.mod", "/console/%2e%2e/console.go", "/console/api", "/console/api/", "/console/api/other", "/consoles"} {
		if response, body := ask(t, "GET", at+path); response.StatusCode != http.StatusNotFound || response.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s %s", path, response.Status, body)
		}
	}
}

func TestTheInspectorAnswers(t *testing.T) {
	asked := make(chan string, 1)
	at := serve(t, inspector{asked}, "")
	for path, want := range map[string]string{
		"/console/api/placement": `{"epoch":3,"members":["node-a","node-b"],"owners":[0,1]}`,
		"/console/api/holdings":  `[{"member":"node-a","keys":7,"tombstones":0,"digest":"d"},{"member":"node-b","error":"gone","keys":0,"tombstones":0,"digest":""}]`,
	} {
		response, body := ask(t, "GET", at+path)
		if response.StatusCode != http.StatusOK || body != want || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %s %v", path, response.Status, body, response.Header)
		}
	}
	_, body := ask(t, "GET", at+"/console/api/copies?k=a+%C3%A9%26")
	const want = `{"key":"a é&","partition":5,"epoch":3,"copies":[` +
		`{"member":"node-a","tag":"4.2@1","version":{"generation":4,"counter":2,"incarnation":1,"removed":false},"vector":[{"incarnation":2,"counter":1}],"value":"v&1"},` +
		`{"member":"node-b","tag":"4.3@1✗","version":{"generation":4,"counter":3,"incarnation":1,"removed":true}},` +
		`{"member":"node-c"},{"member":"node-d","error":"gone"}]}`
	if body = strings.ReplaceAll(body, `\u0026`, "&"); body != want || <-asked != "a é&" {
		t.Errorf("copies: %s", body)
	}
	for _, k := range []string{"", "%ff", strings.Repeat("a", 65), strings.Repeat("%F0%9F%98%80", 65)} {
		if response, body := ask(t, "GET", at+"/console/api/copies?k="+k); response.StatusCode != http.StatusBadRequest {
			t.Errorf("k=%s: %s %s", k, response.Status, body)
		}
	}
	if response, body := ask(t, "GET", serve(t, nil, "")+"/console/api/placement"); response.StatusCode != http.StatusNotFound || !strings.Contains(body, "database") {
		t.Errorf("without an inspector: %s %s", response.Status, body)
	}
}

// W2: the page needs no token, and what it shows does.
func TestTokensGuardWhatThePageAsksFor(t *testing.T) {
	at := serve(t, inspector{}, "read 0123456789abcdef reader\n")
	for path, want := range map[string]int{
		"/console": 200, "/console/app.js": 200, "/console/api/placement": 401, "/console/api/copies?k=a": 401, "/console/api": 401, "/console/api/": 401,
	} {
		if response, _ := ask(t, "GET", at+path); response.StatusCode != want {
			t.Errorf("%s without a token: %s, want %d", path, response.Status, want)
		}
	}
	if response, _ := ask(t, "GET", at+"/console/api/placement", "Authorization", "Bearer 0123456789abcdef"); response.StatusCode != 200 {
		t.Errorf("with a token: %s", response.Status)
	}
}

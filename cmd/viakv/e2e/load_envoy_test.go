//go:build envoy

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"viakv/cmd/viakv/viakvtest"
)

// A load passes the proxy as a stream, whatever its size, and so does the answer to one with a bad
// line.
func TestEnvoyPassesLoadsOn(t *testing.T) {
	b := newBehindEnvoy(t)
	const n = 300_000
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, `{"key":"key-%d","value":"%0100d"}`+"\n", i, i)
	}
	client := &http.Client{Timeout: 5 * time.Minute}
	post := func(body io.Reader, status int, says string) {
		t.Helper()
		response, err := client.Post("http://"+b.proxy+"/setAll", "application/x-ndjson", body)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close() //nolint:errcheck // it was read
		got, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != status || !strings.Contains(string(got), says) {
			t.Errorf("%d %.300q, %v, want %d and %q", response.StatusCode, got, err, status, says)
		}
	}
	post(strings.NewReader(body.String()), http.StatusOK, fmt.Sprintf("OK, %d values are stored", n))
	post(io.MultiReader(strings.NewReader(body.String())), http.StatusOK, fmt.Sprintf("OK, %d values are stored", n)) // in chunks
	post(strings.NewReader(body.String()+"bad\n"), http.StatusBadRequest, fmt.Sprintf(`"stored":%d,"next":%d`, n, n+1))
	for _, name := range []string{"a", "b", "c"} {
		viakvtest.Expect(t, http.StatusOK, fmt.Sprintf("%0100d", n-1), b.nodes[name].http, "/get", "k", fmt.Sprint("key-", n-1))
	}
}

// Gets of many keys pass the proxy, and go to the other nodes when one is killed.
func TestEnvoyPassesManyGetsOn(t *testing.T) {
	b := newBehindEnvoy(t)
	const n = 1000
	var pairs, keys strings.Builder
	for i := range n {
		fmt.Fprintf(&pairs, `{"key":"key-%d","value":"%0200d"}`+"\n", i, i)
		fmt.Fprintf(&keys, "\"key-%d\"\n", i)
	}
	client := &http.Client{Timeout: time.Minute}
	post := func(path string, body io.Reader) string {
		t.Helper()
		response, err := client.Post("http://"+b.proxy+path, "application/x-ndjson", body)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close() //nolint:errcheck // it was read
		got, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%d %.300q, %v", response.StatusCode, got, err)
		}
		return string(got)
	}
	post("/setAll", strings.NewReader(pairs.String()))
	want := pairs.String() + fmt.Sprintf(`{"end":true,"count":%d}`+"\n", n)
	for i := range 300 {
		body := io.Reader(strings.NewReader(keys.String()))
		if i%2 == 1 {
			body = io.MultiReader(body) // in chunks
		}
		if got := post("/getMany?format=ndjson", body); got != want {
			t.Fatalf("%.300q", got)
		}
		if i == 100 {
			b.kill("b")
		}
	}
}

package runner_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"viakv/api/client"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// scripted starts a server whose answer depends on the key, and which keeps what it was asked.
func scripted(t *testing.T) (url string, asked func() string) {
	t.Helper()
	var (
		mu  sync.Mutex
		all []string
	)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		all = append(all, r.URL.Path+" "+r.URL.Query().Get("k")+" "+r.URL.Query().Get("v")+" "+r.URL.Query().Get("w"))
		mu.Unlock()
		status := 200
		_, _ = fmt.Sscanf(r.URL.Query().Get("k"), "%d", &status)
		if strings.HasSuffix(r.URL.Query().Get("k"), "again") {
			w.Header().Set("X-Viakv-Retriable", "true")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "value")
	}))
	t.Cleanup(s.Close)
	return s.URL, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(all, ",")
	}
}

func connect(t *testing.T, url string, o client.Options) runner.Connection {
	t.Helper()
	all, err := runner.NewHTTP(client.Config{Endpoints: []string{url, "http://127.0.0.1:1"}}, o)
	if err != nil || len(all) != 2 || all[0].Name() != url || all[1].Name() != "http://127.0.0.1:1" {
		t.Fatalf("%v, %v", all, err)
	}
	if _, err := all[1].Connect(t.Context()); err == nil {
		t.Error("connected to nobody")
	}
	c, err := all[0].Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	deadline := time.Now().Add(time.Minute)
	c.SetReadDeadline(deadline)
	c.SetWriteDeadline(deadline)
	return c
}

func TestRequestsAreWhatTheyAreCalled(t *testing.T) {
	url, asked := scripted(t)
	c := connect(t, url, client.Options{W: 2})
	kinds := []workload.Kind{workload.Get, workload.Set, workload.Has, workload.Remove}
	for _, k := range kinds {
		c.Append(k, []byte("200"), []byte("v1"))
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	for range kinds {
		if a, err := c.Receive(); err != nil || a.Outcome != runner.OK {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if got, want := asked(), "/get 200  2,/set 200 v1 2,/is 200  2,/rm 200  2"; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestAnswersAreJudged(t *testing.T) {
	url, _ := scripted(t)
	c := connect(t, url, client.Options{})
	for key, want := range map[string]runner.Outcome{
		"200": runner.OK, "404": runner.Missing, "507": runner.Refused, "400": runner.Refused, "403": runner.Refused, "503-again": runner.Refused,
		"503": runner.Failed, "500": runner.Failed, "302": runner.Failed,
	} {
		c.Append(workload.Get, []byte(key), nil)
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		a, err := c.Receive()
		if err != nil || a.Outcome != want || fmt.Sprint(a.Status) != key[:3] {
			t.Errorf("%s: %+v, %v, want outcome %d", key, a, err, want)
		}
		if want == runner.OK && !bytes.Equal(a.Value, []byte("value")) {
			t.Errorf("value %q", a.Value)
		}
	}
}

func TestAClosedConnectionFails(t *testing.T) {
	url, _ := scripted(t)
	c := connect(t, url, client.Options{})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c.Append(workload.Get, []byte("200"), nil)
	flushed := c.Flush()
	if _, err := c.Receive(); err == nil {
		t.Errorf("a closed connection answered; its flush said %v", flushed)
	}
}

func TestAnEndpointThatIsNone(t *testing.T) {
	if _, err := runner.NewHTTP(client.Config{Endpoints: []string{"ftp://127.0.0.1"}}, client.Options{}); err == nil {
		t.Error("ftp was taken for HTTP")
	}
}

package client_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"viakv/api"
	"viakv/api/client"
	"viakv/api/kv"
)

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	c := connectTo(t, serve(t, api.Config{})).With(client.Options{R: 1, W: kv.QuorumAll})
	conn, err := c.Connect(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	const n = 200
	for i := range n {
		conn.AppendSet(fmt.Appendf(nil, "k %d", i), fmt.Appendf(nil, "v&%d", i))
		conn.AppendGet(fmt.Appendf(nil, "k %d", i))
		conn.AppendHas(fmt.Appendf(nil, "k %d", i))
		conn.AppendRemove(fmt.Appendf(nil, "k %d", i))
		conn.AppendHas(fmt.Appendf(nil, "k %d", i))
	}
	if conn.Pending() == 0 {
		t.Fatal("nothing is queued")
	}
	// One goroutine sends while this one receives.
	sent := make(chan error, 1)
	go func() { sent <- conn.Flush() }()
	for i := range n {
		for step, status := range []int{200, 200, 200, 200, 404} {
			a, err := conn.Receive()
			if err != nil || a.Status != status {
				t.Fatalf("%d.%d: %+v, %v", i, step, a, err)
			}
			if want := fmt.Sprintf("v&%d", i); step == 1 && string(a.Body) != want {
				t.Fatalf("got %q, want %q", a.Body, want)
			}
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if conn.Buffered() {
		t.Error("more answers than requests")
	}
	// Nothing more arrives, and an endpoint without a server cannot be connected to.
	conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := conn.Receive(); err == nil {
		t.Error("an answer without a request")
	}
	if _, err := connectTo(t, nowhere(t)).Connect(t.Context(), 0); err == nil {
		t.Error("connected to nothing")
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) }))
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	c := connect(t, client.Config{Endpoints: []string{s.URL}, TLS: &tls.Config{RootCAs: pool}})
	for range 2 {
		if got, err := c.Get(t.Context(), "k"); err != nil || "https://"+got != s.URL {
			t.Errorf("got %q, %v", got, err)
		}
	}
	_, err := connectTo(t, s.URL).Set(t.Context(), "k", "v")
	want(t, err, 0, kv.None, client.ErrUnavailable) // an unknown authority: nothing was sent
}

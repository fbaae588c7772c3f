package baseline_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"viakv/api/apitest"
	"viakv/api/client"
	"viakv/bench/baseline"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// role in the environment makes the test's own binary one of the programs that TestMain has.
const role = "VIAKV_BASELINE_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		apitest.VerifyNoLeaks(m)
	case "chatters":
		fmt.Println("hello")
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(baseline.Ready + l.Addr().String())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_ = baseline.Serve(l)
}

func start(t *testing.T, as string, n int) (*baseline.Cluster, error) {
	t.Helper()
	t.Setenv(role, as)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := baseline.Start(ctx, baseline.Command{Path: self}, n)
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

// plain is a client that keeps no connection open.
var plain = http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func get(t *testing.T, address string) (int, string) {
	t.Helper()
	r, err := plain.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestTheServerKeepsWhatItIsGiven(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- baseline.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close()
		<-served
	})
	at := "http://" + l.Addr().String()
	for _, step := range []struct {
		path   string
		status int
		body   string
	}{
		{"/get?k=a", 404, ""}, {"/set?k=a&v=" + url.QueryEscape("x &=ü"), 200, ""}, {"/get?k=a", 200, "x &=ü"}, {"/is?k=a", 200, ""}, {"/is?k=b", 404, ""},
		{"/getAll", 200, "{\"key\":\"a\",\"value\":\"x \\u0026=ü\"}\n{\"end\":true,\"count\":1}\n"},
		{"/getKeys", 200, "\"a\"\n{\"end\":true,\"count\":1}\n"}, {"/set?k=a&v=1", 200, ""}, {"/getValues", 200, "\"1\"\n{\"end\":true,\"count\":1}\n"}, {"/rm?k=a", 200, ""}, {"/rm?k=a", 404, ""}, {"/set?k=a&v=1", 200, ""}, {"/clear", 200, ""}, {"/get?k=a", 404, ""}, {"/readyz", 200, ""}, {"/else", 404, ""},
	} {
		if status, body := get(t, at+step.path); status != step.status || body != step.body {
			t.Errorf("%s: %d %q, want %d %q", step.path, status, body, step.status, step.body)
		}
	}
}

func TestNoServerOutlivesItsCluster(t *testing.T) {
	c, err := start(t, "serves", 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range c.Endpoints {
		if status, _ := get(t, at+"/livez"); status != 200 {
			t.Errorf("%s: %d", at, status)
		}
	}
	c.Close()
	for _, at := range c.Endpoints {
		if r, err := plain.Get(at + "/livez"); err == nil {
			_ = r.Body.Close()
			t.Errorf("%s still answers", at)
		}
	}
}

func TestAProgramThatDoesNotServeIsAnError(t *testing.T) {
	if _, err := start(t, "chatters", 1); err == nil || !strings.Contains(err.Error(), "hello") {
		t.Errorf("got %v", err)
	}
	if _, err := baseline.Start(t.Context(), baseline.Command{Path: "/nowhere"}, 1); err == nil {
		t.Error("a program that is not there was started")
	}
}

func TestAlternation(t *testing.T) {
	c, err := start(t, "serves", 2)
	if err != nil {
		t.Fatal(err)
	}
	config := func(endpoint string) runner.Config {
		targets, err := runner.NewHTTP(client.Config{Endpoints: []string{endpoint}}, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		streams, err := workload.Streams(workload.Mix{Set: 1, Get: 1}, "uniform", 100, 0)
		if err != nil {
			t.Fatal(err)
		}
		return runner.Config{Targets: targets, Keys: workload.DefaultKeys(), Connections: 2, Duration: 200 * time.Millisecond, Sources: streams}
	}
	a, err := baseline.Alternate(t.Context(), config(c.Endpoints[0]), config(c.Endpoints[1]), 3)
	if err != nil {
		t.Fatal(err)
	}
	// How far two equal servers are apart depends on the machine. That the median of the ratios is
	// quoted depends on the code.
	if len(a.Ratios) != 3 || a.Ratio != slices.Sorted(slices.Values(a.Ratios))[1] || !(a.Ratio > 0) || math.IsInf(a.Ratio, 0) || a.Target.Elapsed < 600*time.Millisecond || a.Baseline.Good() == 0 {
		t.Errorf("got %v, median %v, over %v", a.Ratios, a.Ratio, a.Target.Elapsed)
	}
	gone := c.Endpoints[0]
	c.Close()
	if _, err := baseline.Alternate(t.Context(), config(gone), config(gone), 2); err == nil {
		t.Error("servers that are away were measured")
	}
}

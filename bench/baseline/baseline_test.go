package baseline_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
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
	case "meets":
		meet()
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

// meet serves what a node has been told of the others.
func meet() {
	fmt.Println(baseline.Meet + strconv.Itoa(os.Getpid()))
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadString('\n')
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(baseline.Ready + strings.TrimSpace(line))
	_, _ = io.Copy(io.Discard, in)
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
	c, err := baseline.Start(ctx, baseline.Command{Path: self, Meets: as == "meets"}, n)
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
		{"/getMany?k=a&k=b", 200, "{\"a\":\"x &=ü\",\n\"b\":null}\n"},
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

func TestNodesThatMeetKnowEachOther(t *testing.T) {
	c, err := start(t, "meets", 3)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Trim(fmt.Sprint(c.PIDs()), "[]")
	for i, said := range c.Endpoints {
		if want := fmt.Sprintf("http://%d %s", i+1, all); said != want {
			t.Errorf("node %d was told %q, want %q", i, said, want)
		}
	}
}

// A loop of this process is seen in its CPU time. A process that is not there has none.
func TestCPU(t *testing.T) {
	self := os.Getpid()
	before, known := baseline.CPU(self)
	if !known {
		t.Skip("the system does not tell it")
	}
	for after := before; after == before; {
		if after, known = baseline.CPU(self); !known || after < before {
			t.Fatal(after, known)
		}
	}
	if _, known := baseline.CPU(self, 1<<30); known {
		t.Error("a process that is not there")
	}
}

func TestTurnsAreThoseOfEachSideInEachRound(t *testing.T) {
	c, err := start(t, "serves", 3)
	if err != nil {
		t.Fatal(err)
	}
	used := time.Duration(0)
	side := baseline.Side{Config: runner.Config{Keys: workload.DefaultKeys(), Sources: workload.FirstKeys(10), Warmup: time.Millisecond}, CPU: func() time.Duration {
		used += time.Second
		return used
	}}
	if side.Config.Targets, err = runner.NewHTTP(client.Config{Endpoints: c.Endpoints}, client.Options{}); err != nil {
		t.Fatal(err)
	}
	none := side
	none.CPU, none.Config.Warmup = nil, 0
	turns, err := baseline.Turns(t.Context(), []baseline.Side{side, none}, 3)
	if err != nil || len(turns) != 2 {
		t.Fatal(turns, err)
	}
	for i, rounds := range turns {
		for round, turn := range rounds {
			if len(rounds) != 3 || turn.CPU != time.Duration(1-i)*time.Second || turn.Result == nil {
				t.Errorf("side %d, round %d of %d: %+v", i, round, len(rounds), turn)
			}
		}
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

package main

import (
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"viakv/cmd/cliutil"
)

func TestDevRunsAClusterThatSurvivesADeath(t *testing.T) {
	httpPort, peerPort := freePorts(t, 3)
	p := start(t, "dev", "--http-port", strconv.Itoa(httpPort), "--peer-port", strconv.Itoa(peerPort))
	p.line("Ctrl-C stops everything")
	a, b := loopback(httpPort), loopback(httpPort+1)
	if shown := strings.Join(p.lines(), "\n"); !strings.Contains(shown, "http://"+a+"/console") {
		t.Errorf("the first screen does not say where the console is:\n%s", shown)
	}
	expect(t, http.StatusOK, "", a, "/console")
	expect(t, http.StatusOK, "", a, "/set", "k", "color", "v", "green")
	expect(t, http.StatusOK, "green", b, "/get", "k", "color")

	var pids []int
	for _, m := range regexp.MustCompile(`process (\d+)`).FindAllStringSubmatch(strings.Join(p.lines(), "\n"), -1) {
		pid, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != 3 {
		t.Fatalf("the first screen shows processes %v, want three", pids)
	}
	if err := syscall.Kill(pids[2], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.line("node-c has ended (signal: killed)")
	if l := p.line("serve --name node-c"); !strings.Contains(l, "--seeds") {
		t.Errorf("%q does not bring the node back", l)
	}
	expect(t, http.StatusOK, "green", b, "/get", "k", "color")
	await(t, "writes without the third node", func() bool {
		s, _ := fetch(t, a, "/set", "k", "color", "v", "blue")
		return s == http.StatusOK
	})
	expect(t, http.StatusOK, "blue", b, "/get", "k", "color")

	p.signal(syscall.SIGINT)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for i, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("node %d, process %d, was left behind", i, pid)
		}
	}
}

func TestDevSaysWhichPortIsTaken(t *testing.T) {
	httpPort, peerPort := freePorts(t, 2)
	l, err := net.Listen("tcp", loopback(peerPort+1))
	if err != nil {
		t.Skip(err) // somebody was quicker
	}
	defer func() { _ = l.Close() }()
	p := start(t, "dev", "--nodes", "2", "--http-port", strconv.Itoa(httpPort), "--peer-port", strconv.Itoa(peerPort))
	if code := p.exit(); code != cliutil.ExitFailed {
		t.Errorf("exit code %d, want %d", code, cliutil.ExitFailed)
	}
	p.line("--peer-port")
}

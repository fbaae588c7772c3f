package e2e

import (
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"viakv/cmd/cliutil"
	"viakv/cmd/viakv/viakvtest"
)

func TestDevRunsAClusterThatSurvivesADeath(t *testing.T) {
	httpPort, peerPort := viakvtest.FreePorts(t, 3)
	p := viakvtest.Start(t, "dev", "--http-port", strconv.Itoa(httpPort), "--peer-port", strconv.Itoa(peerPort))
	p.Line("Ctrl-C stops everything")
	a, b := viakvtest.Loopback(httpPort), viakvtest.Loopback(httpPort+1)
	if shown := strings.Join(p.Lines(), "\n"); !strings.Contains(shown, "http://"+a+"/console") {
		t.Errorf("the first screen does not say where the console is:\n%s", shown)
	}
	viakvtest.Expect(t, http.StatusOK, "", a, "/console")
	viakvtest.Expect(t, http.StatusOK, "", a, "/set", "k", "color", "v", "green")
	viakvtest.Expect(t, http.StatusOK, "green", b, "/get", "k", "color")

	var pids []int
	for _, m := range regexp.MustCompile(`process (\d+)`).FindAllStringSubmatch(strings.Join(p.Lines(), "\n"), -1) {
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
	p.Line("node-c has ended (signal: killed)")
	if l := p.Line("serve --name node-c"); !strings.Contains(l, "--seeds") {
		t.Errorf("%q does not bring the node back", l)
	}
	viakvtest.Expect(t, http.StatusOK, "green", b, "/get", "k", "color")
	viakvtest.Await(t, "writes without the third node", func() bool {
		s, _ := viakvtest.Fetch(t, a, "/set", "k", "color", "v", "blue")
		return s == http.StatusOK
	})
	viakvtest.Expect(t, http.StatusOK, "blue", b, "/get", "k", "color")

	p.Signal(syscall.SIGINT)
	p.Exits(0)
	for i, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("node %d, process %d, was left behind", i, pid)
		}
	}
}

func TestDevSaysWhichPortIsTaken(t *testing.T) {
	httpPort, peerPort := viakvtest.FreePorts(t, 2)
	l, err := net.Listen("tcp", viakvtest.Loopback(peerPort+1))
	if err != nil {
		t.Skip(err) // another process was quicker
	}
	defer func() { _ = l.Close() }()
	p := viakvtest.Start(t, "dev", "--nodes", "2", "--http-port", strconv.Itoa(httpPort), "--peer-port", strconv.Itoa(peerPort))
	p.Exits(cliutil.ExitFailed)
	p.Line("--peer-port")
}

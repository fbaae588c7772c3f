package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds every wait of these tests. Only a test that fails waits as long; a busy machine needs some of it.
const patience = 2 * time.Minute

// answerTime bounds one request: what a node does not answer in it hangs.
const answerTime = 30 * time.Second

// process is a running viakv.
type process struct {
	t   *testing.T
	cmd *exec.Cmd

	mu     sync.Mutex
	output []string
	grown  chan struct{} // closed and replaced with every line
	ended  chan struct{}
}

// start starts this test's own binary as viakv. It is killed at the end of the test, if it is still there then.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return launch(t, viakv(t, args...))
}

// startWithFewFiles starts a viakv that may have so many files and sockets open.
func startWithFewFiles(t *testing.T, files int, args ...string) *process {
	t.Helper()
	cmd := viakv(t, args...)
	cmd.Args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files), cmd.Path}, args...)
	cmd.Path = "/bin/sh"
	return launch(t, cmd)
}

// viakv is this test's own binary as viakv, not started yet.
func viakv(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// launch starts any command, as start does.
func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, grown: make(chan struct{}), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	go p.read(r)
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%v:\n%s", cmd.Args[1:], strings.Join(p.lines(), "\n"))
		}
	})
	return p
}

func (p *process) read(r io.ReadCloser) {
	defer func() { _ = r.Close() }()
	for s := bufio.NewScanner(r); s.Scan(); {
		p.mu.Lock()
		p.output = append(p.output, s.Text())
		close(p.grown)
		p.grown = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *process) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.output...)
}

// line waits for a line of output that holds text.
func (p *process) line(text string) string {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		p.mu.Lock()
		grown := p.grown
		p.mu.Unlock()
		for _, l := range p.lines() {
			if strings.Contains(l, text) {
				return l
			}
		}
		select {
		case <-grown:
		case <-timeout:
			p.t.Fatalf("no line with %q", text)
		}
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the process to end and returns its exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatal("the process does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// serveOne starts a lone node on ports that the system chooses, and returns it with its HTTP address.
func serveOne(t *testing.T, args ...string) (p *process, address string) {
	t.Helper()
	p = start(t, append([]string{"serve", "--name", "lone", "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0", "--log-format", "json"}, args...)...)
	var entry struct{ HTTP string }
	if err := json.Unmarshal([]byte(p.line(`"msg":"serving"`)), &entry); err != nil {
		t.Fatal(err)
	}
	await(t, "the node to be ready", func() bool { return status(t, entry.HTTP, "/readyz") == http.StatusOK })
	return p, entry.HTTP
}

// await polls until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// fetch asks a node; status 0 is no answer.
func fetch(t *testing.T, address, path string, arguments ...string) (status int, body string) {
	t.Helper()
	q := url.Values{}
	for i := 0; i+1 < len(arguments); i += 2 {
		q.Set(arguments[i], arguments[i+1])
	}
	client := http.Client{Timeout: answerTime, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + address + path + "?" + q.Encode())
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

func status(t *testing.T, address, path string) int {
	t.Helper()
	s, _ := fetch(t, address, path)
	return s
}

// expect asks a node and holds the answer against what should come.
func expect(t *testing.T, wantStatus int, wantBody, address, path string, arguments ...string) {
	t.Helper()
	got, body := fetch(t, address, path, arguments...)
	if got != wantStatus || wantBody != "" && strings.TrimSpace(body) != wantBody {
		t.Fatalf("%s%s %v: %s\nwant %d %s", address, path, arguments, fmt.Sprint(got, " ", body), wantStatus, wantBody)
	}
}

// hosts numbers the loopback addresses that were given out.
var hosts atomic.Uint32

// freeAddress is one that nobody listens at now, and that nobody else is given: each comes with a loopback address of its own, on which no
// connection of another test can take the port meanwhile. Where the system has but one, that must do.
func freeAddress(t *testing.T) string {
	t.Helper()
	n := hosts.Add(1)
	l, err := net.Listen("tcp", fmt.Sprintf("127.77.%d.%d:0", n/250, 1+n%250))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/apitest"
)

// asCommand in the environment makes a test binary behave as the command itself, so that tests can
// start real processes of it. The name viakv does the same.
const asCommand = "TEST_AS_VIAKV"

// runTests is the TestMain of a package whose tests start viakv: command is that program.
func runTests(m *testing.M, command func()) {
	if os.Getenv(asCommand) != "" || filepath.Base(os.Args[0]) == "viakv" {
		command()
		return
	}
	apitest.VerifyNoLeaks(m)
}

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

// start starts this test's own binary as viakv. It is killed at the end of the test, if it is still
// there then.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return launch(t, viakv(t, args...))
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

// viakvBehind is viakv in the process of a shell that runs something else first.
func viakvBehind(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := viakv(t, args...)
	cmd.Args = append([]string{"sh", "-c", script + ` && exec "$0" "$@"`, cmd.Path}, args...)
	cmd.Path = "/bin/sh"
	return cmd
}

// launch starts any command, as start does. A test that fails shows its output.
func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := launchInto(t, cmd, w)
	_ = w.Close()
	go p.read(r)
	return p
}

// launchInto starts a command, as start does, whose output goes where it is told.
func launchInto(t *testing.T, cmd *exec.Cmd, out *os.File) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, grown: make(chan struct{}), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.ended
		if lines := p.lines(); t.Failed() && len(lines) > 0 {
			t.Logf("%v:\n%s", cmd.Args[1:], strings.Join(lines, "\n"))
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

// kill ends the process at once.
func (p *process) kill() {
	p.t.Helper()
	p.signal(os.Kill)
	p.exit()
}

// exit waits for the process to end and returns its exit code.
func (p *process) exit() int {
	p.t.Helper()
	return p.exitWithin(patience)
}

// exitWithin is exit for a process that may take longer than others.
func (p *process) exitWithin(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.t.Fatal("the process does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// listens waits until a node that logs JSON has said where it serves HTTP.
func (p *process) listens() (address string) {
	p.t.Helper()
	var entry struct{ HTTP string }
	if err := json.Unmarshal([]byte(p.line(`"msg":"serving"`)), &entry); err != nil {
		p.t.Fatal(err)
	}
	return entry.HTTP
}

// serves waits until such a node is ready.
func (p *process) serves() (address string) {
	p.t.Helper()
	address = p.listens()
	await(p.t, "the node to be ready", func() bool { return status(p.t, address, "/readyz") == http.StatusOK })
	return address
}

// serveOne starts a lone node on ports that the system chooses, and returns it with its HTTP address.
func serveOne(t *testing.T, args ...string) (p *process, address string) {
	t.Helper()
	p = start(t, append([]string{"serve", "--name", "lone", "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0", "--log-format", "json"}, args...)...)
	return p, p.serves()
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

// freePorts finds n ports in a row that nobody uses, twice: dev counts up from one for HTTP and from
// another for peers. They lie below those that systems give to connections, so that none of another
// test can take one before a node listens there.
func freePorts(t *testing.T, n int) (http, peer int) {
	t.Helper()
	for range 100 {
		first := 20_000 + rand.IntN(12_000)
		if allFree(first, 2*n) {
			return first, first + n
		}
	}
	t.Fatal("no free ports in a row")
	return 0, 0
}

// loopback is an address of this machine.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func allFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// moduleRoot is the directory of the module that the test belongs to.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			err = errors.New("no go.mod above this directory")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal(err)
	return ""
}

// shipped is a file of the module, by its path from the root.
func shipped(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(moduleRoot(t), filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// selfAs puts this test's own binary into a directory, under the command's name, which makes it the
// command.
func selfAs(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "viakv")
	if err := os.Link(self, to); err == nil {
		return to
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

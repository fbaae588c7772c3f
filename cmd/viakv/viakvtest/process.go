// Package viakvtest starts viakv for tests: as processes of the test's own binary, or within the
// test's process.
package viakvtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"viakv/api/apitest"
)

// asCommand in the environment makes a test binary behave as the program viakv, so that tests can
// start real processes of it. The file name viakv does the same.
const asCommand = "TEST_AS_VIAKV"

// RunTests is the TestMain of a package whose tests start processes: command is the program viakv.
// The tests fail when goroutines outlive them.
func RunTests(m *testing.M, command func()) {
	if os.Getenv(asCommand) != "" || filepath.Base(os.Args[0]) == "viakv" {
		command()
		return
	}
	apitest.VerifyNoLeaks(m)
}

// Patience bounds every wait. Only a test that fails waits so long; a busy machine needs a part of
// it.
const Patience = 2 * time.Minute

// AnswerTime bounds one request: a node that has not answered by then hangs.
const AnswerTime = 30 * time.Second

// Process is a running viakv, or another program that a test needs.
type Process struct {
	t   *testing.T
	cmd *exec.Cmd

	mu     sync.Mutex
	output []string
	grown  chan struct{} // closed and replaced with every line
	ended  chan struct{}
}

// Start starts this test's own binary as viakv. The process is killed at the end of the test if it
// still runs.
func Start(t *testing.T, args ...string) *Process {
	t.Helper()
	return Launch(t, Command(t, args...))
}

// Command returns this test's own binary as viakv, not started yet.
func Command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// CommandBehind returns viakv in the process of a shell that runs a script first.
func CommandBehind(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := Command(t, args...)
	cmd.Args = append([]string{"sh", "-c", script + ` && exec "$0" "$@"`, cmd.Path}, args...)
	cmd.Path = "/bin/sh"
	return cmd
}

// Launch starts any command, as [Start] does. A test that fails shows its output.
func Launch(t *testing.T, cmd *exec.Cmd) *Process {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := LaunchInto(t, cmd, w)
	_ = w.Close()
	go p.read(r)
	return p
}

// LaunchInto is [Launch] for a command whose output goes elsewhere.
func LaunchInto(t *testing.T, cmd *exec.Cmd, out *os.File) *Process {
	t.Helper()
	p := &Process{t: t, cmd: cmd, grown: make(chan struct{}), ended: make(chan struct{})}
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
		if t.Failed() {
			t.Logf("%v:\n%s", cmd.Args[1:], strings.Join(p.Lines(), "\n"))
		}
	})
	return p
}

func (p *Process) read(r io.ReadCloser) {
	defer func() { _ = r.Close() }()
	for s := bufio.NewScanner(r); s.Scan(); {
		p.mu.Lock()
		p.output = append(p.output, s.Text())
		close(p.grown)
		p.grown = make(chan struct{})
		p.mu.Unlock()
	}
}

// Lines returns the lines of the output so far.
func (p *Process) Lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.output)
}

// Line waits for a line of output that has this text.
func (p *Process) Line(text string) string {
	p.t.Helper()
	timeout := time.After(Patience)
	for {
		p.mu.Lock()
		grown := p.grown
		p.mu.Unlock()
		for _, l := range p.Lines() {
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

// Signal sends a signal to the process.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Stop ends the process as operators do. Its exit code must be 0.
func (p *Process) Stop() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	p.Exits(0)
}

// Kill ends the process at once.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(os.Kill)
	p.Exit()
}

// Exit waits for the process to end and returns its exit code.
func (p *Process) Exit() int {
	p.t.Helper()
	return p.ExitWithin(Patience)
}

// Exits waits for the process to end and compares its exit code.
func (p *Process) Exits(want int) {
	p.t.Helper()
	if code := p.Exit(); code != want {
		p.t.Errorf("exit code %d, want %d", code, want)
	}
}

// ExitWithin is [Process.Exit] for a process that may take longer than others.
func (p *Process) ExitWithin(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.t.Fatal("the process does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// Pid returns the number of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Listens waits until a node that logs JSON has logged where it serves HTTP, and returns the
// address.
func (p *Process) Listens() (address string) {
	p.t.Helper()
	var entry struct{ HTTP string }
	if err := json.Unmarshal([]byte(p.Line(`"msg":"serving"`)), &entry); err != nil {
		p.t.Fatal(err)
	}
	return entry.HTTP
}

// Serves waits until a node that logs JSON is ready, and returns where it serves HTTP.
func (p *Process) Serves() (address string) {
	p.t.Helper()
	address = p.Listens()
	AwaitStatus(p.t, http.StatusOK, address, "/readyz")
	return address
}

// ServeOne starts a standalone node on ports that the system chooses, and returns it with its HTTP
// address.
func ServeOne(t *testing.T, args ...string) (p *Process, address string) {
	t.Helper()
	p = Start(t, append([]string{"serve", "--name", "lone", "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0", "--log-format", "json"}, args...)...)
	return p, p.Serves()
}

// Await polls until a condition holds.
func Await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", Patience, what)
		}
	}
}

// AwaitStatus asks a node until its answer has a status.
func AwaitStatus(t *testing.T, want int, address, path string) {
	t.Helper()
	Await(t, fmt.Sprintf("%s%s to answer %d", address, path, want), func() bool { return Status(t, address, path) == want })
}

// Fetch asks a node. The arguments are names and values in turn. Status 0: no answer.
func Fetch(t *testing.T, address, path string, arguments ...string) (status int, body string) {
	t.Helper()
	q := url.Values{}
	for i := 0; i+1 < len(arguments); i += 2 {
		q.Set(arguments[i], arguments[i+1])
	}
	client := http.Client{Timeout: AnswerTime, Transport: &http.Transport{DisableKeepAlives: true}}
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

// Status asks a node and returns the status of the answer. 0: no answer.
func Status(t *testing.T, address, path string) int {
	t.Helper()
	s, _ := Fetch(t, address, path)
	return s
}

// Expect asks a node and compares the answer with the wanted one.
func Expect(t *testing.T, wantStatus int, wantBody, address, path string, arguments ...string) {
	t.Helper()
	got, body := Fetch(t, address, path, arguments...)
	if got != wantStatus || wantBody != "" && strings.TrimSpace(body) != wantBody {
		t.Fatalf("%s%s %v: %s\nwant %d %s", address, path, arguments, fmt.Sprint(got, " ", body), wantStatus, wantBody)
	}
}

// hosts is the number of loopback addresses that were given out.
var hosts atomic.Uint32

// FreeAddress returns an address that no process listens at and that no other caller gets. Each
// comes with a loopback address of its own, of a thousand for each process, so that no connection
// of another test can take the port meanwhile. A system with 127.0.0.1 alone gives ports on that.
func FreeAddress(t *testing.T) string {
	t.Helper()
	n := uint32(os.Getpid())*1000 + hosts.Add(1)
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 178+n/62500%70, n/250%250, 1+n%250))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// ranges is the number of ranges of ports that were given out.
var ranges atomic.Uint32

// FreePorts finds two ranges of n free ports in a row, at most six: viakv dev counts up from one
// port for HTTP and from another for peers. No other call in this process gets any of them, and
// other processes try other ranges first. The ports lie below those that systems give to
// connections.
func FreePorts(t *testing.T, n int) (http, peer int) {
	t.Helper()
	const slots, slot = 1000, 12
	for range slots {
		number := uint32(os.Getpid())*101 + ranges.Add(1)
		if first := 20_000 + int(number%slots)*slot; allFree(first, 2*n) {
			return first, first + n
		}
	}
	t.Fatal("no free ports in a row")
	return 0, 0
}

// Loopback returns an address of this machine with this port.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func allFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", Loopback(port))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// ModuleRoot returns the directory of the module that the test belongs to.
func ModuleRoot(t *testing.T) string {
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

// Shipped returns the content of a file of the module, named by its path from the root.
func Shipped(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(ModuleRoot(t), filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// SelfAs puts this test's own binary into a directory under the name viakv. The name makes it the
// program viakv.
func SelfAs(t *testing.T, dir string) string {
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

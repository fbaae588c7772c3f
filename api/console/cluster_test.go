//go:build browser

package console_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"viakv/api/apitest"
	"viakv/api/document"
)

// process is one node, run as users run it.
type process struct {
	t       *testing.T
	command *exec.Cmd
	http    string // host:port
	end     sync.Once
}

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "viakv-console-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "viakv")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "viakv/cmd/viakv").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) { apitest.VerifyNoLeaks(withBinary{m}) }

// withBinary runs the tests, then removes the nodes' program.
type withBinary struct{ *testing.M }

func (m withBinary) Run() int {
	defer func() {
		if path, err := binary(); err == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
	}()
	return m.M.Run()
}

// startNode runs a node until the test ends. The node listens at ports that the kernel chooses.
func startNode(t *testing.T, name string, flags ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, command: exec.Command(path, append([]string{"serve", "--name", name, "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0",
		"--drain", "0s", "--log-format", "json", "--log-level", "info"}, flags...)...)}
	log, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	serving := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			var line struct{ Msg, HTTP string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" && line.HTTP != "" {
				serving <- line.HTTP
			}
		}
	}()
	select {
	case p.http = <-serving:
	case <-time.After(patience):
		t.Fatalf("%s does not say where it serves", name)
	}
	return p
}

// kill ends the node at once, and its memory is lost.
func (p *process) kill() {
	p.end.Do(func() {
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	})
}

func (p *process) url() string { return "http://" + p.http }

// call sends a request to the node and expects success.
func (p *process) call(path string, parameters ...string) string {
	p.t.Helper()
	q := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		q.Set(parameters[i], parameters[i+1])
	}
	response, err := http.Get(p.url() + path + "?" + q.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s %s %v", path, response.Status, body, err)
	}
	return string(body)
}

func (p *process) status() (s document.Status) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.call("/cluster")), &s); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// startCluster runs nodes, of which the later ones have joined the first.
func startCluster(t *testing.T, names ...string) []*process {
	t.Helper()
	var nodes []*process
	for i, name := range names {
		n := startNode(t, name)
		await(t, name+" to be ready", func() bool {
			response, err := http.Get(n.url() + "/readyz")
			if err != nil {
				return false
			}
			_ = response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
		if i > 0 {
			n.call("/join", "peer", nodes[0].status().Members[0].Peer)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

//go:build envoy

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"viakv/cmd/viakv/viakvtest"
)

// behindEnvoy is a mesh of three processes behind a real Envoy. Its configuration is envoy.yaml
// with other ports.
type behindEnvoy struct {
	*mesh
	proxy, admin string
}

// newBehindEnvoy starts everything and waits until the proxy sends to all three nodes.
func newBehindEnvoy(t *testing.T) *behindEnvoy {
	t.Helper()
	// The drain is the default of viakv serve. The proxy must see the drain before the node stops.
	b := &behindEnvoy{mesh: formed(&mesh{t: t, drain: "2s"}, "a", "b", "c"), proxy: viakvtest.FreeAddress(t), admin: viakvtest.FreeAddress(t)}
	launchEnvoy(t, b.configuration())
	b.members("a", "b", "c")
	return b
}

// envoyBinary returns the program that VIAKV_ENVOY names, or an envoy on the PATH. Without one the
// test fails, because the make target for it installs Envoy.
func envoyBinary(t *testing.T) string {
	t.Helper()
	name := os.Getenv("VIAKV_ENVOY")
	if name == "" {
		name = "envoy"
	}
	found, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("no Envoy: %v; run make test-envoy, which installs it, or name the binary in VIAKV_ENVOY", err)
	}
	return found
}

// launchEnvoy starts Envoy with a configuration.
func launchEnvoy(t *testing.T, configuration string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(path, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	viakvtest.Launch(t, exec.Command(envoyBinary(t), "-c", path, "--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"))
}

// replaced replaces a part of a configuration, which must be there so many times.
func replaced(t *testing.T, text, old, with string, times int) string {
	t.Helper()
	if n := strings.Count(text, old); n != times {
		t.Fatalf("%q is in the configuration %d times, want %d", old, n, times)
	}
	return strings.ReplaceAll(text, old, with)
}

// socket returns an address as the configurations write it.
func socket(t *testing.T, address string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("address: %s, port_value: %s", host, port)
}

// listening replaces the addresses at which a shipped configuration listens.
func listening(t *testing.T, text, proxy, admin string) string {
	t.Helper()
	text = replaced(t, text, "address: 0.0.0.0, port_value: 8080", socket(t, proxy), 1)
	return replaced(t, text, "address: 127.0.0.1, port_value: 9901", socket(t, admin), 1)
}

// configuration returns the shipped envoy.yaml with the addresses of this test, and with no other
// change.
func (b *behindEnvoy) configuration() string {
	b.t.Helper()
	shipped, _ := shippedProxy(b.t)
	text := listening(b.t, string(shipped), b.proxy, b.admin)
	for _, n := range []string{"a", "b", "c"} {
		// Once as a seed, and once by its own name.
		text = replaced(b.t, text, "address: node-"+n+", port_value: 8080", socket(b.t, b.nodes[n].http), 2)
	}
	return text
}

// members waits until the proxy sends to exactly these nodes.
func (b *behindEnvoy) members(names ...string) {
	b.t.Helper()
	want := map[string]bool{}
	for _, n := range names {
		want[b.nodes[n].http] = true
	}
	viakvtest.Await(b.t, fmt.Sprint("the proxy to send to ", names), func() bool {
		got := b.healthy()
		for address := range want {
			if !got[address] {
				return false
			}
		}
		return len(got) == len(want)
	})
}

// healthy returns the addresses that the proxy sends to now.
func (b *behindEnvoy) healthy() map[string]bool {
	type health struct {
		Status  string `json:"eds_health_status"`
		Check   bool   `json:"failed_active_health_check"`
		Outlier bool   `json:"failed_outlier_check"`
	}
	var page struct {
		Clusters []struct {
			Name  string `json:"name"`
			Hosts []struct {
				Address struct {
					Socket struct {
						Address string `json:"address"`
						Port    int    `json:"port_value"`
					} `json:"socket_address"`
				} `json:"address"`
				Health health `json:"health_status"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	out := map[string]bool{}
	if s, body := viakvtest.Fetch(b.t, b.admin, "/clusters", "format", "json"); s != 200 || json.Unmarshal([]byte(body), &page) != nil {
		return out // not started yet
	}
	for _, c := range page.Clusters {
		for _, h := range c.Hosts {
			if c.Name == "members" && !h.Health.Check && !h.Health.Outlier {
				out[net.JoinHostPort(h.Address.Socket.Address, fmt.Sprint(h.Address.Socket.Port))] = true
			}
		}
	}
	return out
}

// served returns how many reads a node has answered.
func (b *behindEnvoy) served(name string) (n float64) {
	b.t.Helper()
	for line := range strings.Lines(b.ask(name, 200, "/metrics")) {
		if strings.HasPrefix(line, `viakv_http_requests_total{class="2xx",endpoint="/get"}`) {
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	return n
}

// takes waits until a node answers requests that came through the proxy.
func (b *behindEnvoy) takes(name string) {
	b.t.Helper()
	before := b.served(name)
	viakvtest.Await(b.t, name+" to take traffic", func() bool { return b.served(name) > before })
}

func TestEnvoyPassesWhatIsLegal(t *testing.T) {
	b := newBehindEnvoy(t)
	key, value := strings.Repeat("\U0001F600", 64), strings.Repeat("\U0001F680", 256)
	target := "http://" + b.proxy + "/set?k=" + url.QueryEscape(key) + "&v=" + url.QueryEscape(value)
	if len(target) < 3800 {
		t.Fatalf("the longest URL has %d bytes", len(target))
	}
	r, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", strings.Repeat("c", 4<<10)) // ordinary headers beside the path
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 200 {
		t.Fatalf("the longest legal request: %s", response.Status)
	}
	viakvtest.Expect(t, 200, value, b.proxy, "/get", "k", key)
	for _, odd := range []string{"a b+c&d=e%2f", "..", "/", "\x00", "a//b"} {
		viakvtest.Expect(t, 200, "", b.proxy, "/set", "k", odd, "v", odd)
		if s, body := viakvtest.Fetch(t, b.proxy, "/get", "k", odd); s != 200 || body != odd {
			t.Errorf("%q came back as %d %q", odd, s, body)
		}
	}
	viakvtest.Expect(t, 404, "", b.proxy, "/v3/discovery:endpoints")
	if s, body := viakvtest.Fetch(t, b.proxy, "/set", "k", strings.Repeat("x", 20_000)); s != 431 && s != 400 {
		t.Errorf("a request that is too long: %d %.100s", s, body)
	}
}

func TestEnvoyPassesAScan(t *testing.T) {
	b := newBehindEnvoy(t)
	const pairs = 2000
	for i := range pairs {
		b.set(b.names[i%3], fmt.Sprintf("k%05d", i), strings.Repeat("v", 200))
	}
	var got map[string]string
	if s, body := viakvtest.Fetch(t, b.proxy, "/getAll"); s != 200 || json.Unmarshal([]byte(body), &got) != nil || len(got) != pairs {
		t.Fatalf("%d with %d pairs, want %d", s, len(got), pairs)
	}
	_, body := viakvtest.Fetch(t, b.proxy, "/getKeys", "format", "ndjson")
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if last := lines[len(lines)-1]; len(lines) != pairs+1 || !strings.Contains(last, `"end":true`) {
		t.Fatalf("%d lines, the last is %s", len(lines), last)
	}
}

func TestEnvoySaysThatNobodyIsThere(t *testing.T) {
	b := newBehindEnvoy(t)
	for _, n := range b.names {
		b.kill(n)
	}
	viakvtest.Await(t, "a refusal", func() bool {
		s, body := viakvtest.Fetch(t, b.proxy, "/set", "k", "k", "v", "v")
		var p struct{ Outcome string }
		return s == 503 && json.Unmarshal([]byte(body), &p) == nil && p.Outcome == "none"
	})
}

// A node that dies under load costs no read. A change fails only if the dead node was working on
// it, and the answer then says that the change may have happened.
func TestEnvoyADeathUnderLoad(t *testing.T) {
	b := newBehindEnvoy(t)
	l := startLoad(t, b.proxy)
	for _, victim := range []string{"c", "a"} {
		l.progress(300)
		b.kill(victim)
		l.progress(600)
		b.back(victim)
		b.members("a", "b", "c")
		b.takes(victim)
	}
	l.stop()
	l.wantFailures(2)
	b.equal(b.names...)
}

// A node that hangs costs no read either. Envoy asks another node after a second, and takes the
// node out two seconds later.
func TestEnvoyAPauseUnderLoad(t *testing.T) {
	b := newBehindEnvoy(t)
	l := startLoad(t, b.proxy)
	l.progress(300)
	b.nodes["c"].Signal(syscall.SIGSTOP)
	b.members("a", "b")
	l.progress(600)
	b.nodes["c"].Signal(syscall.SIGCONT)
	b.ready("c")
	b.members("a", "b", "c")
	b.takes("c")
	l.stop()
	l.wantFailures(1)
	b.equal(b.names...)
}

func TestEnvoyFollowsTheMembership(t *testing.T) {
	b := newBehindEnvoy(t)
	l := startLoad(t, b.proxy)
	l.progress(200)
	b.lone("d")
	b.ask("d", 200, "/join", "peer", b.nodes["a"].peer)
	b.members("a", "b", "c", "d")
	b.takes("d")
	b.ask("d", 200, "/leave")
	b.members("a", "b", "c")
	l.progress(200)
	b.ask("b", 200, "/leave", "node", "c") // a seed leaves, asked of another node
	b.members("a", "b")
	l.progress(200)
	l.stop()
	l.wantFailures(2) // a remove that its owner was working on while it left
}

func TestEnvoyARollingRestart(t *testing.T) {
	b := newBehindEnvoy(t)
	l := startLoad(t, b.proxy)
	for _, n := range b.names {
		l.progress(100)
		b.nodes[n].Stop()
		b.back(n)
		b.members(b.names...)
	}
	l.progress(100)
	l.stop()
	l.wantFailures(3) // a remove that its owner was working on when it stopped
	began := time.Now()
	b.equal(b.names...)
	t.Logf("equal %v after the last request", time.Since(began))
}

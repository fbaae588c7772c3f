package e2e

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"viakv/cmd/viakv/viakvtest"
	"viakv/quorum/version/rule"
	"viakv/ring/keyspace/keyspacetest"
)

// colliding is the number of keys with one xxhash64 hash that these tests store, each with the
// largest value: about 6 MiB, more than one message between nodes may have.
const colliding = 5000

// A client that knows xxhash64 can make keys that collide under every seed of it. They must not
// keep a node from rebuilding, or another node from joining.
func TestKeysMadeToCollideStopNoRebuild(t *testing.T) {
	t.Parallel()
	rebuildAndJoin(t, func(args ...string) *viakvtest.Process { return viakvtest.Start(t, args...) })
}

// This test does the same with keys that do share one place in the order of keys. For that the
// keyed hash is switched off, which needs a build of its own.
func TestKeysThatCollideStopNoRebuild(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds another binary")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	binary := filepath.Join(t.TempDir(), "viakv")
	build := exec.Command("go", "build", "-buildvcs=false", "-tags", "mutation", "-o", binary, "viakv/cmd/viakv")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rebuildAndJoin(t, func(args ...string) *viakvtest.Process {
		cmd := exec.Command(binary, args...)
		cmd.Env = append(os.Environ(), "VIAKV_BREAK="+rule.KeyedHash.String())
		return viakvtest.Launch(t, cmd)
	})
}

func rebuildAndJoin(t *testing.T, boot func(args ...string) *viakvtest.Process) {
	m := formed(&mesh{t: t, start: boot}, "a", "b", "c")
	keys := keyspacetest.Colliding(colliding)
	value := strings.Repeat("\U0001F5DD", 256)
	client := http.Client{Timeout: viakvtest.AnswerTime}
	defer client.CloseIdleConnections()
	work := make(chan []byte)
	var clients sync.WaitGroup
	for i := range 2 * len(m.names) {
		address := m.nodes[m.names[i%len(m.names)]].http
		clients.Go(func() {
			for key := range work {
				response, err := client.PostForm("http://"+address+"/set", url.Values{"k": {string(key)}, "v": {value}})
				if err != nil {
					t.Error(err)
					continue
				}
				body, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("set: %d %s", response.StatusCode, body)
				}
			}
		})
	}
	for _, key := range keys {
		work <- key
	}
	close(work)
	clients.Wait()
	if t.Failed() {
		return
	}

	m.kill("c")
	m.back("c")
	m.equal("a", "b", "c")
	m.lone("d")
	m.ask("d", http.StatusOK, "/join", "peer", m.nodes["a"].peer)
	m.equal("a", "b", "c", "d")
	for _, name := range []string{"c", "d"} {
		if got := m.cluster(name).Keys; got != colliding {
			t.Errorf("%s holds %d of %d keys", name, got, colliding)
		}
		m.want(name, string(keys[colliding/2]), value)
	}
	// Scans meet these keys as well, as one stream and in pages that end among the keys.
	if got := strings.Count(m.ask("d", http.StatusOK, "/getKeys", "format", "ndjson"), "\n"); got != colliding+1 {
		t.Errorf("a scan has %d lines, want %d keys and the end", got, colliding)
	}
}

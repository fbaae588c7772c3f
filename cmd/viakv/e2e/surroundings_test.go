package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"viakv/cmd/viakv/viakvtest"
)

// counter returns the value of a metric without labels.
func counter(t *testing.T, address, name string) (n float64) {
	t.Helper()
	_, body := viakvtest.Fetch(t, address, "/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(value, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// piped starts a node whose log goes into a pipe, and returns the other end of that, read to the
// line that says where the node serves.
func piped(t *testing.T, args ...string) (p *viakvtest.Process, log *os.File, address string) {
	t.Helper()
	log, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	p = viakvtest.LaunchInto(t, viakvtest.Command(t, append([]string{"serve", "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0", "--log-format", "json", "--drain", "0s"}, args...)...), w)
	_ = w.Close()
	for lines := bufio.NewReader(log); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var entry struct{ Msg, HTTP string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
			return p, log, entry.HTTP
		}
	}
}

// The reader of the log ends, as a journal that restarts or head(1) does. Only lines of the log are
// lost.
func TestALogReaderThatIsGone(t *testing.T) {
	t.Parallel()
	p, log, address := piped(t)
	viakvtest.AwaitStatus(t, 200, address, "/readyz")
	viakvtest.Expect(t, http.StatusOK, "", address, "/set", "k", "color", "v", "green")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		// A join that fails writes a line to the log.
		viakvtest.Expect(t, http.StatusBadGateway, "", address, "/join", "peer", "127.0.0.1:1")
	}
	viakvtest.Await(t, "lost lines to be counted", func() bool { return counter(t, address, "viakv_log_lines_lost_total") > 0 })
	viakvtest.Expect(t, http.StatusOK, "green", address, "/get", "k", "color")
	p.Stop()
}

// The reader of the log stops reading. Requests are answered as before, and the node can be stopped
// in order.
func TestALogReaderThatStops(t *testing.T) {
	t.Parallel()
	p, log, address := piped(t, "--log-level", "debug")
	viakvtest.AwaitStatus(t, 200, address, "/readyz")
	on := keep(t, address)
	for i := range 10_000 { // each writes a line
		on.expect(200, fmt.Sprintf("/set?k=k%d&v=1", i%100))
	}
	if lost := counter(t, address, "viakv_log_lines_lost_total"); lost == 0 {
		t.Error("no line was lost: the test proves nothing")
	}
	_ = on.c.Close()

	// When the reader reads again, the log continues, and says how much is missing.
	said := make(chan bool)
	go func() {
		out, found := bufio.NewReader(log), false
		for {
			line, err := out.ReadString('\n')
			if err != nil {
				said <- found
				return
			}
			found = found || strings.Contains(line, "lines of the log were lost")
		}
	}()
	viakvtest.Await(t, "a line to be written again", func() bool {
		before := counter(t, address, "viakv_log_lines_lost_total")
		viakvtest.Expect(t, http.StatusOK, "", address, "/livez")
		return counter(t, address, "viakv_log_lines_lost_total") == before
	})
	time.Sleep(1100 * time.Millisecond) // the notice comes at most once a second
	viakvtest.Expect(t, http.StatusOK, "", address, "/livez")
	p.Stop()
	if !<-said {
		t.Error("the log does not say that lines were lost")
	}
}

// A node that is stopped ends even if its log has no reader.
func TestAStopWhileNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	p, _, address := piped(t, "--log-level", "debug")
	on := keep(t, address)
	for range 1000 {
		on.expect(200, "/livez")
	}
	p.Stop()
}

// A full disk under the log costs lines only.
func TestALogOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	address := viakvtest.FreeAddress(t)
	p := viakvtest.LaunchInto(t, viakvtest.Command(t, "serve", "--http", address, "--peer", "127.0.0.1:0", "--drain", "0s"), full)
	_ = full.Close()
	viakvtest.AwaitStatus(t, 200, address, "/readyz")
	viakvtest.Expect(t, http.StatusOK, "", address, "/set", "k", "color", "v", "green")
	if lost := counter(t, address, "viakv_log_lines_lost_total"); lost == 0 {
		t.Error("no line was lost: the test proves nothing")
	}
	p.Stop()
}

// Signals from the surroundings, most of all that of a closed terminal, neither end nor stop a
// node.
func TestSignalsThatEndNothing(t *testing.T) {
	p, address := viakvtest.ServeOne(t, "--drain", "0s")
	viakvtest.Expect(t, http.StatusOK, "", address, "/set", "k", "color", "v", "green")
	for _, s := range []syscall.Signal{
		syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGTTOU, syscall.SIGTTIN, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGXFSZ,
		syscall.SIGXCPU, syscall.SIGVTALRM, syscall.SIGIO, syscall.SIGURG, syscall.SIGWINCH, syscall.SIGCHLD, syscall.SIGPROF, syscall.SIGHUP,
	} {
		p.Signal(s)
		time.Sleep(10 * time.Millisecond)
		if got, body := viakvtest.Fetch(t, address, "/get", "k", "color"); got != 200 || body != "green" {
			t.Fatalf("after %v: %d %s", s, got, body)
		}
	}
	p.Line("reading tokens and certificates again")
	p.Stop()
}

// SIGHUP makes new tokens valid at once. A file with a fault changes nothing.
func TestAHangupReadsTheTokensAgain(t *testing.T) {
	const first, second = "0123456789abcdef", "fedcba9876543210"
	file := filepath.Join(t.TempDir(), "tokens")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("admin " + first + " somebody\n")
	p, address := viakvtest.ServeOne(t, "--tokens", file, "--drain", "0s")
	with := func(token string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/get?k=a", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	defer http.DefaultClient.CloseIdleConnections()
	if got := with(first); got != 404 {
		t.Fatal(got)
	}
	write("admin " + second + " somebody\n")
	p.Signal(syscall.SIGHUP)
	p.Line("a changed file was taken over")
	if with(first) != 401 || with(second) != 404 {
		t.Error("the new token does not count, or the old one does")
	}
	write("nonsense\n")
	p.Signal(syscall.SIGHUP)
	p.Line("was not taken over")
	if with(second) != 404 {
		t.Error("a file with a fault was taken over")
	}
}

// A node needs neither standard streams nor a working directory.
func TestANodeWithoutStreamsAndDirectory(t *testing.T) {
	t.Parallel()
	address := viakvtest.FreeAddress(t)
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := viakvtest.CommandBehind(t, "exec <&- >&- 2>&-", "serve", "--http", address, "--peer", "127.0.0.1:0", "--drain", "0s")
	cmd.Dir = dir
	p := viakvtest.LaunchInto(t, cmd, nil)
	viakvtest.AwaitStatus(t, 200, address, "/readyz")
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	viakvtest.Expect(t, http.StatusOK, "", address, "/set", "k", "color", "v", "green")
	// A join that fails writes a line to the log.
	viakvtest.Expect(t, http.StatusBadGateway, "", address, "/join", "peer", "127.0.0.1:1")
	viakvtest.Expect(t, http.StatusOK, "green", address, "/get", "k", "color")
	p.Stop()
}

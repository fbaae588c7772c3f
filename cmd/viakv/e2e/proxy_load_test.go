//go:build envoy || compose

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/cmd/viakv/viakvtest"
)

// load is a number of clients that read and change keys through the proxy, and what failed.
type load struct {
	t       *testing.T
	proxy   string
	client  *http.Client
	clients sync.WaitGroup
	ended   atomic.Bool
	asked   atomic.Int64
	took    atomic.Int64 // nanoseconds of the slowest read

	mu     sync.Mutex
	failed []failure
}

// failure is a request that was not answered as it should be.
type failure struct {
	change  bool
	what    string
	outcome string // as the answer says; empty: the answer has none
}

const readers, changers, keys = 4, 2, 50

// startLoad fills the keys and starts the clients. Reads must find what was filled in. Each
// changing client has a key of its own, so that it knows what a remove must find.
func startLoad(t *testing.T, proxy string) *load {
	t.Helper()
	l := &load{t: t, proxy: proxy, client: &http.Client{Timeout: viakvtest.AnswerTime, Transport: &http.Transport{MaxIdleConnsPerHost: readers + changers}}}
	for i := range keys {
		viakvtest.Expect(t, 200, "", proxy, "/set", "k", fmt.Sprint("read", i), "v", fmt.Sprint(i))
	}
	for i := range readers {
		l.clients.Go(func() { l.read(i) })
	}
	for i := range changers {
		l.clients.Go(func() { l.change(i) })
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) read(client int) {
	for i := client; !l.ended.Load(); i++ {
		path, want := "/get", fmt.Sprint(i%keys)
		if i%2 == 1 {
			path, want = "/is", ""
		}
		began := time.Now()
		status, body := l.ask(http.MethodGet, path, "k", fmt.Sprint("read", i%keys))
		for took, slowest := int64(time.Since(began)), l.took.Load(); took > slowest && !l.took.CompareAndSwap(slowest, took); slowest = l.took.Load() {
		}
		if status != 200 || want != "" && body != want {
			l.fail(false, path, status, body)
		}
	}
}

func (l *load) change(client int) {
	key, open := "", true
	for i := 0; !l.ended.Load(); i++ {
		// A change whose outcome is unknown may still take effect, so its key is given up.
		if open {
			key, open = fmt.Sprintf("changed%d-%d", client, i), false
		}
		if status, body := l.ask(http.MethodPost, "/set", "k", key, "v", fmt.Sprint(i)); status != 200 {
			l.fail(true, "/set", status, body)
			open = true
			continue
		}
		if status, body := l.ask(http.MethodGet, "/get", "k", key); status != 200 || body != fmt.Sprint(i) {
			l.fail(false, "/get after /set", status, body)
		}
		if status, body := l.ask(http.MethodPost, "/rm", "k", key); status != 200 {
			l.fail(true, "/rm", status, body)
			open = true
		}
	}
}

func (l *load) ask(method, path string, arguments ...string) (int, string) {
	defer l.asked.Add(1)
	form := url.Values{}
	for i := 0; i+1 < len(arguments); i += 2 {
		form.Set(arguments[i], arguments[i+1])
	}
	var response *http.Response
	var err error
	if method == http.MethodPost {
		response, err = l.client.PostForm("http://"+l.proxy+path, form)
	} else {
		response, err = l.client.Get("http://" + l.proxy + path + "?" + form.Encode())
	}
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	// What finds the request in the logs belongs to the failure.
	if response.StatusCode != 200 {
		return response.StatusCode, fmt.Sprintf("%s attempts: %s, request %s, at %s", body, response.Header.Get("X-Envoy-Attempt-Count"),
			response.Header.Get("X-Request-Id"), time.Now().UTC().Format(time.StampMilli))
	}
	return response.StatusCode, string(body)
}

func (l *load) fail(change bool, what string, status int, body string) {
	var p struct{ Outcome string }
	_ = json.NewDecoder(strings.NewReader(body)).Decode(&p) // other answers have no outcome
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, failure{change, fmt.Sprintf("%s: %d %s", what, status, strings.TrimSpace(body)), p.Outcome})
}

// progress waits for so many more answers.
func (l *load) progress(n int64) {
	l.t.Helper()
	goal := l.asked.Load() + n
	viakvtest.Await(l.t, fmt.Sprint(n, " more answers"), func() bool { return l.asked.Load() >= goal })
}

func (l *load) stop() {
	if !l.ended.Swap(true) {
		l.clients.Wait()
		l.client.CloseIdleConnections()
	}
}

// lostByAFault is how many changes one fault may cost. Each connection between the proxy and the
// lost node loses the requests that it carries. The proxy's two threads have connections of their
// own, and neither has more of them than there are clients.
const lostByAFault = 2 * (readers + changers)

// wantFailures reports what failed. No read may have failed. Changes may fail, at most as many as
// so many faults explain, and each with the outcome that it may have happened.
func (l *load) wantFailures(faults int) {
	l.t.Helper()
	most := faults * lostByAFault
	l.mu.Lock()
	defer l.mu.Unlock()
	changes := 0
	for _, f := range l.failed {
		l.t.Log(f.what)
		switch {
		case !f.change:
			l.t.Errorf("a read failed: %s", f.what)
		case f.outcome == "unknown":
			changes++
		default:
			l.t.Errorf("a change failed that should have been repeated, or said what became of it: %s", f.what)
		}
	}
	if changes > most {
		l.t.Errorf("%d changes failed, want at most %d", changes, most)
	}
	l.t.Logf("%d requests, %d failed, the slowest read took %v", l.asked.Load(), len(l.failed), time.Duration(l.took.Load()).Round(time.Millisecond))
}

//go:build browser

package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"viakv/api"
	"viakv/api/apitest"
	"viakv/api/console"
	"viakv/api/document"
	"viakv/api/health"
	"viakv/api/kv"
	"viakv/api/kv/kvtest"
)

func TestOverviewShowsTheMembersAndALoss(t *testing.T) {
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	for i := range 40 {
		nodes[i%3].call("/set", "k", fmt.Sprintf("user:%d", i), "v", "x")
	}
	b := openBrowser(t)
	b.open(nodes[0], "overview")
	b.until(`document.querySelectorAll('.card[data-state=active]').length === 3`)
	b.until(`document.querySelector('#light').dataset.level === 'good'`)
	b.until(`[...document.querySelectorAll('.card')].every((c) => c.innerText.includes('Holds exactly what the others hold'))`)
	stop := load(t, nodes[0])
	b.until(`parseInt(` + figure(0) + `) > 10`)
	b.until(figure(1) + ` === '0/s'`)
	b.until(figure(2) + `.match(/ (µs|ms)$/)`)
	b.until(`document.querySelector('.chart .line.a').getAttribute('d').includes('L')`)
	stop()
	b.picture("overview")
	nodes[2].kill()
	b.until(`document.querySelector('#light').dataset.level === 'warn'`)
	b.until(`document.querySelector('#light').innerText.includes('node-c')`)
	b.until(`!document.querySelector('.card[data-member=node-c]').matches('[data-state=active]')`)
	b.picture("overview-loss")
	back := startNode(t, "node-c")
	await(t, "node-c to be ready", func() bool { return back.status().State == "active" })
	back.call("/join", "peer", nodes[0].status().Members[0].Peer)
	b.until(`document.querySelector('#light').dataset.level === 'good'`)
	b.until(`[...document.querySelectorAll('.card')].every((c) => c.innerText.includes('Holds exactly what the others hold'))`)
	back.kill()
	nodes[1].kill()
	b.expect("503", "Failed to load resource")
	b.until(`document.querySelector('#light').dataset.level === 'bad'`)
}

// figure is the value of a tile.
func figure(i int) string {
	return fmt.Sprintf(`document.querySelectorAll('.figures dd')[%d].innerText`, i)
}

// The figures are those of the cluster: of nodes that the page does not ask, too. A refusal is no
// operation, and has a tile and a chart. What was is there when the page is opened.
func TestAnOutageIsSeenAsOne(t *testing.T) {
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	b := openBrowser(t)
	b.open(nodes[0], "overview")
	drawn := func(chart, line int) string {
		return fmt.Sprintf(`document.querySelectorAll('.chart')[%d].querySelectorAll('.line')[%d].getAttribute('d').includes('L')`, chart, line)
	}
	measured := func(what string) string {
		return fmt.Sprintf(`document.querySelector('.measured').innerText.includes(%q)`, what)
	}
	b.until(measured("all 3 members report"))
	others := load(t, nodes[1])
	b.until(`parseInt(` + figure(0) + `) > 10`)
	b.until(figure(1) + ` === '0/s'`)
	b.until(`!document.querySelector('.figures [data-level=bad]')`)
	b.until(drawn(0, 0) + ` && ` + drawn(0, 1) + ` && ` + drawn(2, 0) + ` && ` + drawn(2, 1))
	b.picture("overview-answered")
	await(t, "two points of the record with times, which make a line", func() bool {
		var h document.History
		if err := json.Unmarshal([]byte(nodes[0].call("/history")), &h); err != nil {
			t.Fatal(err)
		}
		n := len(h.Points.P99)
		return n > 1 && h.Points.P99[n-1] != nil && h.Points.P99[n-2] != nil
	})
	others()
	own := load(t, nodes[0])
	defer own()
	nodes[1].kill()
	nodes[2].kill()
	b.expect("503", "Failed to load resource")
	b.until(`parseInt(` + figure(1) + `) > 10`)
	b.until(figure(0) + ` === '0/s' && ` + figure(2) + ` === '–' && ` + figure(3) + ` === '–'`)
	b.until(`document.querySelector('.figures [data-level=bad]').innerText.includes('Errors, 100 %')`)
	b.until(measured("1 of 3 members reports"))
	// The errors are there after a reload, and so is what was answered before.
	b.until(drawn(1, 0) + ` && ` + drawn(1, 1))
	b.do(chromedp.Reload())
	b.until(measured("1 of 3 members reports"))
	b.until(drawn(0, 0) + ` && ` + drawn(1, 0) + ` && ` + drawn(2, 1))
	b.until(`[...document.querySelectorAll('.chart text')].some((t) => t.textContent === '5 min ago')`)
	b.picture("overview-outage")
}

// rebuilding is a cluster to which one member has come back. It holds a quarter of what the others
// hold.
type rebuilding struct {
	kv.Cluster
	inspector
}

func (rebuilding) Status() kv.Status {
	s := kv.Status{Mode: "mesh", Self: "node-a", State: "active", Epoch: 9, N: 3, R: 2, W: 2, Keys: 380}
	for _, name := range []string{"node-a", "node-b", "node-c"} {
		s.Members = append(s.Members, kv.Member{Name: name, State: "active", Reach: health.Answers})
	}
	s.Members[2].State = "rebuilding"
	return kvtest.Judged(s)
}

// Events implements kv.Cluster. Nothing has changed.
func (rebuilding) Events() *health.Log { return new(health.Log) }

func (rebuilding) Holdings(context.Context) []kv.Holding {
	return []kv.Holding{{Member: "node-a", Keys: 380, Tombstones: 20, Digest: "d"}, {Member: "node-b", Keys: 380, Tombstones: 20, Digest: "d"},
		{Member: "node-c", Keys: 95, Tombstones: 5, Digest: "e"}}
}

func TestARebuildIsSeenFromASurvivor(t *testing.T) {
	at := apitest.Serve(t, api.Config{Store: struct{ kv.Store }{}, Cluster: rebuilding{}, Console: console.New(rebuilding{}).Handle})
	b := openBrowser(t)
	b.open(&process{http: strings.TrimPrefix(at, "http://")}, "overview")
	b.until(`document.querySelector('.card[data-member=node-c]')?.innerText.includes('25.0 % of what they hold')`)
	b.until(`document.querySelector('.card[data-member=node-c] progress').value === 0.25`)
	b.until(`document.querySelector('#light').dataset.level === 'warn'`)
	b.until(`document.querySelector('.card[data-member=node-a]').innerText.includes('Holds exactly what the others hold')`)
	b.until(`document.querySelector('#events').innerText.includes('No events.')`)
	b.picture("overview-rebuild")
}

// limited is a cluster with a member at its memory limit.
type limited struct{ rebuilding }

func (limited) Status() kv.Status {
	s := rebuilding{}.Status()
	s.Members[2].State, s.Members[2].Full = "active", true
	return kvtest.Judged(s)
}

func TestAMemoryLimitIsSeenFromEveryNode(t *testing.T) {
	at := apitest.Serve(t, api.Config{Store: struct{ kv.Store }{}, Cluster: limited{}, Console: console.New(limited{}).Handle})
	b := openBrowser(t)
	b.open(&process{http: strings.TrimPrefix(at, "http://")}, "overview")
	b.until(`document.querySelector('#light').dataset.level === 'bad'`)
	b.until(`document.querySelector('#light').innerText.includes('Node-c holds as much as the memory limit allows')`)
}

// shared is a node with a database. It knows no others.
type shared struct{ rebuilding }

func (shared) Status() kv.Status {
	return kv.Status{Mode: "postgres", Self: "node-a", State: "active", Health: health.Judge(&health.Facts{Self: "node-a", Store: "postgres"})}
}

func TestANodeWithADatabaseShowsItsOwnFigures(t *testing.T) {
	at := apitest.Serve(t, api.Config{Store: &kvtest.Reference{}, Cluster: shared{}, Console: console.New(nil).Handle})
	b := openBrowser(t)
	n := &process{t: t, http: strings.TrimPrefix(at, "http://")}
	b.expect("/console/api/holdings") // it has no copies to compare
	b.open(n, "overview")
	b.until(`document.querySelector('.measured').innerText.includes('those of node-a alone')`)
	stop := load(t, n)
	b.until(`parseInt(` + figure(0) + `) > 10`)
	stop()
	b.picture("overview-database")
}

// load keeps a node busy, with four reads for each write, until stop is called.
func load(t *testing.T, n *process) (stop func()) {
	t.Helper()
	quit, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-quit:
				ended <- nil
				return
			case <-time.After(2 * time.Millisecond):
			}
			response, err := http.Get(n.url() + []string{"/get", "/set"}[i%5/4] + "?v=y&k=" + fmt.Sprintf("user:%d", i%40))
			if err != nil {
				<-quit
				ended <- err
				return
			}
			_ = response.Body.Close()
		}
	}()
	return func() {
		close(quit)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// Every view fits a narrow window, in both colour schemes, and nothing in it is cut off.
func TestViewsFitANarrowWindow(t *testing.T) {
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	nodes[0].call("/set", "k", "a-key-of-quite-some-length-without-any-place-to-break-it-at-all", "v", "and a value")
	b := openBrowser(t)
	for _, view := range []string{"overview", "ring", "data", "members"} {
		b.size(width, height)
		b.scheme("dark")
		b.open(nodes[0], view)
		b.until(`document.querySelector('#light').dataset.level === 'good'`)
		if view == "data" {
			b.until(`document.querySelector('.pairlist button')`)
			b.click(`.pairlist button`)
			b.until(`document.querySelector('.copies')`)
		}
		b.picture("dark-" + view)
		b.scheme("light")
		b.size(420, 900)
		b.until(`innerWidth === 420`)
		if over := value[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
			t.Errorf("%s is %d pixels too wide for a window of 420", view, over)
		}
		b.picture("narrow-" + view)
	}
}

// W3: a balancer sends each request to another node.
func TestTheConsoleWorksBehindALoadBalancer(t *testing.T) {
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	var next atomic.Uint64
	balancer := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		node := nodes[next.Add(1)%3]
		r.SetURL(&url.URL{Scheme: "http", Host: node.http})
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(balancer.Close)
	b := openBrowser(t)
	b.open(&process{http: strings.TrimPrefix(balancer.URL, "http://")}, "overview")
	b.until(`document.body.innerText.includes('all 3 members report')`)
	b.until(`document.querySelectorAll('.card[data-state=active]').length === 3`)
	for i := range 20 {
		nodes[i%3].call("/set", "k", "a", "v", "1")
	}
	b.until(`document.querySelector('#light').dataset.level === 'good'`)
	b.do(chromedp.Navigate(balancer.URL + "/console#data"))
	b.write(`#new-key`, "through the balancer")
	b.click(`#new-set`)
	b.until(`document.querySelectorAll('.copies .badge[data-level=good]').length === 3`)
}

func TestATokenIsAskedForAndKeptInTheTab(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("admin 0123456789abcdef0123 operator\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, "node-a", "--tokens", file)
	b := openBrowser(t)
	b.expect("401")
	b.open(n, "overview")
	b.do(chromedp.WaitVisible(chromedp.CSS(`dialog input`)))
	b.until(`document.querySelector('#light').innerText.includes('A token is needed')`)
	b.write(`dialog input`, "0123456789abcdef0123")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelector('#light').dataset.level === 'good'`)
	b.until(`!document.querySelector('dialog')`)
	b.do(chromedp.Reload())
	b.until(`document.querySelector('#light').dataset.level === 'good'`)
	if kept := value[bool](b, `localStorage.length === 0 && document.cookie === '' && !location.href.includes('0123')`); !kept {
		t.Error("the token is kept where others can read it")
	}
}

// A keyboard can do everything that a mouse can, and its focus can be seen.
func TestTheKeyboardReachesEverything(t *testing.T) {
	n := startCluster(t, "node-a", "node-b")[0]
	b := openBrowser(t)
	b.open(n, "members")
	b.until(`document.querySelectorAll('tr[data-member]').length === 2`)
	for _, want := range []string{"Skip to the content", "Overview", "Ring", "Data", "Members", "Token", "", "Leave…"} {
		b.do(chromedp.KeyEvent(kb.Tab))
		if got := value[string](b, `document.activeElement.innerText`); want != "" && strings.TrimSpace(got) != want {
			t.Fatalf("the focus is on %q, want %q", got, want)
		}
		if outline := value[string](b, `getComputedStyle(document.activeElement).outlineStyle`); outline != "solid" {
			t.Errorf("the focus on %q cannot be seen: %s", want, outline)
		}
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelector('dialog')?.open`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.until(`!document.querySelector('dialog')`)
	if got := value[string](b, `document.activeElement.innerText`); got != "Leave…" {
		t.Errorf("after Escape the focus is on %q", got)
	}
}

//go:build browser

package console_test

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// gets sends gets to a node until stop is called, whatever it answers.
func (p *process) gets() (stop func()) {
	over := make(chan struct{})
	var going sync.WaitGroup
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	going.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(20 * time.Millisecond):
				if answer, err := client.Get(p.url() + "/get?k=k"); err == nil {
					_ = answer.Body.Close()
				}
			}
		}
	})
	return sync.OnceFunc(func() {
		close(over)
		going.Wait()
		client.CloseIdleConnections()
	})
}

// The card of a node that has answered says how it answers gets, since when, and why.
func TestTheCardSaysHowGetsAreAnswered(t *testing.T) {
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	a := nodes[0]
	a.call("/set", "k", "k", "v", "v")
	b := openBrowser(t)
	b.open(a, "overview")
	gets := `[...` + card("node-a") + `.querySelectorAll('dl > div')].find((d) => d.innerText.startsWith('Gets'))?.querySelector('dd')`
	says := func(word, tells string) {
		t.Helper()
		b.until(gets + `.innerText === '` + word + `' && ` + gets + `.title.match(/` + tells + `/)`)
	}
	says("idle", `^Gets by quorum since \d\d:\d\d:\d\d: no request has needed leases lately, so none are held\.$`)
	b.until(card("node-b") + `.innerText.match(/Gets\s+–/)`) // it tells of itself alone

	stop := a.gets()
	defer stop()
	says("own copy", `^From its own copy since \d\d:\d\d:\d\d\.$`)
	b.until(card("node-a") + `.innerText.match(/Own copy\s+[<>]?\d+ % of/)`)
	b.looks("gets-alone")

	a.call("/reads", "mode", "quorum")
	says("by quorum", `reads of the cluster are set to quorum\.$`)
	a.call("/reads", "mode", "lease")
	says("own copy", "own copy")

	nodes[1].kill()
	nodes[2].kill()
	says("by quorum", `0 of the leases of other members count, and 1 must: node-b does not answer, node-c does not answer\.$`)
	b.until(card("node-a") + `.querySelector('p').innerText.startsWith('Gets by quorum since ')`)
	b.looks("gets-by-quorum")
}

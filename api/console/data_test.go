//go:build browser

package console_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestDataIsBrowsedSetAndRemoved(t *testing.T) {
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	for i := range 30 {
		nodes[i%3].call("/set", "k", fmt.Sprintf("user:%02d", i), "v", fmt.Sprintf("value %d", i))
	}
	nodes[1].call("/set", "k", "user:08", "v", "changed at node-b") // this overwrites what node-c wrote
	b := openBrowser(t)
	b.open(nodes[0], "data")
	rows := `document.querySelectorAll('.pairlist button').length`
	b.until(rows + ` === 25`)
	b.click(`.push button:last-child`)
	b.until(rows + ` === 5`)

	b.write(`#new-key`, "color")
	b.write(`#new-value`, `<b onclick="x">green</b>`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelector('.detail h2').innerText === 'color'`)
	if got := nodes[1].call("/get", "k", "color"); got != `<b onclick="x">green</b>` {
		t.Errorf("another node has %q", got)
	}
	b.until(`document.querySelectorAll('.copies .badge[data-level=good]').length === 3`)
	b.until(`document.querySelector('.explained').innerText.includes('written through node-a')`)
	b.until(`document.querySelector('#value').value.includes('<b')`)

	b.write(`input[name=prefix]`, "user:08")
	b.click(`#search`)
	b.until(rows + ` === 1`)
	b.click(`.pairlist button`)
	b.until(`document.querySelector('.explained')?.innerText.includes('written through node-b')`)
	b.until(`document.querySelector('.explained').innerText.includes('had seen the versions of node-c up to')`)
	b.picture("data")

	b.click(`#remove`)
	b.do(chromedp.WaitVisible(chromedp.CSS(`dialog`)), chromedp.KeyEvent(kb.Escape))
	b.until(`!document.querySelector('dialog')`)
	if got := nodes[2].call("/get", "k", "user:08"); got != "changed at node-b" {
		t.Errorf("after Escape the key has %q", got)
	}
	b.expect("404")
	b.click(`#remove`)
	b.click(`dialog button.danger`)
	b.until(`document.querySelectorAll('.copies .badge').length === 3 && document.querySelector('.detail').innerText.includes('tombstone')`)
	b.until(rows + ` === 0`)
}

func TestRingIsDrawn(t *testing.T) {
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	b := openBrowser(t)
	b.open(nodes[0], "ring")
	b.until(`document.querySelectorAll('.ring path').length === 256`)
	for i, m := range nodes[0].status().Members {
		want := int(m.Ownership*256 + 0.5)
		if got := value[int](b, fmt.Sprintf(`document.querySelectorAll('.ring path[data-owner="%d"]').length`, i)); got != want {
			t.Errorf("%s owns %d partitions of the drawing, and %d in /cluster", m.Name, got, want)
		}
	}
	b.click(`.shares button`)
	b.until(`document.querySelector('.ring').dataset.only === '0'`)
	b.picture("ring")
}

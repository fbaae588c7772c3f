//go:build browser

package console_test

import (
	"fmt"
	"testing"
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
	b.picture("overview")
	nodes[2].kill()
	b.until(`document.querySelector('#light').dataset.level === 'warn'`)
	b.until(`document.querySelector('#light').innerText.includes('node-c')`)
	b.until(`!document.querySelector('.card[data-member=node-c]').matches('[data-state=active]')`)
	b.picture("overview-loss")
	nodes[1].kill()
	b.expect("503", "Failed to load resource")
	b.until(`document.querySelector('#light').dataset.level === 'bad'`)
}

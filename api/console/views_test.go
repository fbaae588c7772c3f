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

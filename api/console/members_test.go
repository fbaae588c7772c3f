//go:build browser

package console_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestMembersJoinLeaveAndClear(t *testing.T) {
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	nodes[0].call("/set", "k", "kept", "v", "1")
	b := openBrowser(t)
	b.open(nodes[0], "members")
	b.until(`document.querySelectorAll('tr[data-member]').length === 3`)
	b.until(`document.querySelector('#join').disabled`)
	b.picture("members")

	b.click(`tr[data-member=node-c] button`)
	b.do(chromedp.WaitVisible(chromedp.CSS(`dialog .note`)))
	b.until(`document.querySelector('dialog .note').innerText.includes('A quorum remains')`)
	b.picture("members-leave")
	b.click(`dialog button.danger`)
	b.until(`document.querySelectorAll('tr[data-member]').length === 2`)
	if n := nodes[0].status().N; n != 2 {
		t.Errorf("%d members after the leave, want 2", n)
	}

	alone := startNode(t, "node-d")
	await(t, "node-d to be ready", func() bool { return alone.status().State == "active" })
	b.open(alone, "members")
	b.until(`!document.querySelector('#join').disabled`)
	b.write(`#peer`, nodes[0].status().Members[0].Peer)
	b.click(`#join`)
	b.click(`dialog button.primary`)
	b.until(`document.querySelectorAll('tr[data-member]').length === 3`)
	if got := alone.call("/get", "k", "kept"); got != "1" {
		t.Errorf("the new member reads %q", got)
	}

	b.click(`#clear`)
	b.do(chromedp.WaitVisible(chromedp.CSS(`#word`)))
	b.until(`document.querySelector('dialog button.danger').disabled`)
	b.write(`#word`, "clear")
	b.until(`!document.querySelector('dialog button.danger').disabled`)
	b.click(`dialog button.danger`)
	b.until(`!document.querySelector('dialog')`)
	if keys := nodes[0].status().Keys; keys != 0 {
		t.Errorf("%d keys after the clear", keys)
	}
}

func TestALeaveThatWouldLoseTheQuorumIsNotOffered(t *testing.T) {
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	b := openBrowser(t)
	b.open(nodes[0], "members")
	b.until(`document.querySelectorAll('tr[data-member]').length === 3`)
	nodes[2].kill()
	b.until(`document.querySelector('#light').dataset.level === 'warn'`)
	b.click(`tr[data-member=node-b] button`)
	b.until(`document.querySelector('dialog .note[data-level=bad]')?.innerText.includes('1 of the 2 members that stay serve')`)
	if !value[bool](b, `document.querySelector('dialog button.danger').disabled`) {
		t.Error("the leave of one of the last two is offered")
	}
	b.do(chromedp.KeyEvent(kb.Escape))
	b.click(`tr[data-member=node-c] button`)
	b.until(`document.querySelector('dialog .note[data-level=warn]')?.innerText.includes('A quorum remains')`)
	b.click(`dialog button.danger`)
	b.until(`document.querySelector('#light').dataset.level === 'good'`)
	if n := nodes[0].status().N; n != 2 {
		t.Errorf("%d members after the dead one has left, want 2", n)
	}
}

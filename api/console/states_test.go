//go:build browser

package console_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"viakv/api/document"
)

// TestThePageShowsTheNodesVerdict brings three real nodes into the states of a bad day. In each,
// the light, the cards and the roster say what the node that serves the page says.
func TestThePageShowsTheNodesVerdict(t *testing.T) {
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	a := nodes[0]
	before := a.status()
	b := openBrowser(t)
	b.open(a, "overview")
	b.shows(a, "serving", "good", map[string]string{"node-a": "active", "node-b": "active", "node-c": "active"})
	b.until(`document.querySelector('#facts').innerText.includes('1 (reads), 1 (writes)')`)
	b.until(`document.querySelector('#light-next').hidden`)

	nodes[2].pause()
	// Its connection stands at first, and is given up later.
	b.shows(a, "degraded", "warn", map[string]string{"node-b": "active", "node-c": "silent|no connection"})
	b.until(card("node-c") + `.innerText.match(/No (answer|connection) since \d\d:\d\d:\d\d\./)`)
	b.until(`document.querySelector('#facts').innerText.includes('0 (reads), 0 (writes)')`)
	b.looks("state-paused")
	nodes[2].goOn()
	b.shows(a, "serving", "good", map[string]string{"node-c": "active"})

	nodes[2].kill()
	b.shows(a, "degraded", "warn", map[string]string{"node-b": "active", "node-c": "no connection"})
	b.until(card("node-c") + `.innerText.match(/No connection since \d\d:\d\d:\d\d\./)`)
	b.until(`document.querySelector('#light-next').innerText.startsWith('Next: ')`)
	b.looks("state-one-killed")

	nodes[1].kill()
	b.shows(a, "refusing", "bad", map[string]string{"node-a": "active", "node-b": "no connection", "node-c": "no connection"})
	b.until(`document.querySelector('#facts').innerText.includes('refused now')`)
	b.until(`[...document.querySelectorAll('#light-next code')].some((c) => c.innerText.startsWith('viakv member leave node-b --force'))`)
	b.looks("state-two-killed")

	for _, m := range before.Members[1:] {
		startNode(t, m.Name, "--peer", m.Peer, "--seeds", before.Members[0].Peer)
	}
	b.shows(a, "refusing", "bad", map[string]string{"node-a": "active", "node-b": "restarted, empty", "node-c": "restarted, empty"})
	b.until(`document.querySelector('#light-more').innerText.includes('may be lost')`)
	b.looks("state-two-restarted")
	b.open(a, "members")
	for _, name := range []string{"node-b", "node-c"} {
		row := `document.querySelector('tr[data-member=` + name + `]')`
		b.until(row + `.innerText.includes('restarted, empty')`)
		b.until(row + `.innerText.includes('its memory is lost')`)
	}
	b.looks("state-two-restarted-members")
	b.click(`tr[data-member=node-b] button`)
	b.until(`document.querySelector('dialog .note[data-level=warn]')?.innerText.startsWith('By force, writes acknowledged by 2 of 3 members may be lost')`)
	b.until(`document.querySelector('dialog button.danger').disabled`)
	if value[bool](b, `document.body.textContent.includes('undefined')`) {
		t.Error("the page shows undefined")
	}
	b.looks("state-two-restarted-leave")
}

// card is the expression for a member's card. While there is none, it is an element without
// content.
func card(name string) string { return there(`.card[data-member=` + name + `]`) }

// row is card for the newest event of a kind that is about a member.
func row(event, member string) string {
	return there(`.events li[data-event=` + event + `][data-member=` + member + `]`)
}

func there(selector string) string {
	return `(document.querySelector('` + selector + `') ?? document.createElement('i'))`
}

// shows waits until the node gives a verdict and the page shows it: at the light in the node's own
// words, and at the members' cards.
func (b *browser) shows(n *process, verdict, level string, states map[string]string) {
	b.t.Helper()
	await(b.t, "the verdict "+verdict, func() bool { return n.status().Health.Verdict == verdict })
	for name, state := range states {
		b.until(card(name) + `.dataset.state?.match(/^(` + state + `)$/)`)
		b.until(card(name) + `.querySelector('.badge')?.innerText.match(/^(` + state + `)$/)`)
	}
	b.until(`document.querySelector('#light').dataset.level === '` + level + `'`)
	b.until(`document.querySelector('#light-title').innerText.toLowerCase() === '` + verdict + `'`)
	b.until(`document.querySelector('#light-since').innerText.match(/^since \d\d:\d\d:\d\d$/)`)
	await(b.t, "the node's own words at the light", func() bool {
		h := n.status().Health
		told := value[string](b, `document.querySelector('#light').textContent.replaceAll('`+"`"+`', '')`)
		words := h.Reason + "." + h.Next
		if h.Next != "" {
			words = h.Reason + ".Next: " + strings.ReplaceAll(h.Next, "`", "") + "."
		}
		return strings.Contains(strings.ToLower(told), strings.ToLower(words)) && strings.Contains(told, h.MayLose)
	})
}

// TestTheTimelineShowsWhatTheNodeHasSeen compares the timeline with the node's own events, while
// they come.
func TestTheTimelineShowsWhatTheNodeHasSeen(t *testing.T) {
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	a := nodes[0]
	b := openBrowser(t)
	b.open(a, "overview")
	b.until(row("member-joined", "node-c") + `.innerText.includes('node-c is a member')`)
	b.sameEvents(a)

	nodes[2].kill()
	b.until(row("member-no-connection", "node-c") + `.innerText.includes('no connection to node-c')`)
	b.until(`document.querySelector('.events li[data-event=degraded] .badge').dataset.level === 'warn'`)
	b.until(row("member-no-connection", "node-c") + `.querySelector('.badge')?.dataset.level === 'bad'`)
	b.until(row("member-no-connection", "node-c") + `.querySelector('.swatch')?.dataset.m === ` + card("node-c") + `.querySelector('.swatch').dataset.m`)
	b.sameEvents(a)

	// One member's events alone, the cluster's alone, and everything again.
	choose := func(v string) {
		b.do(chromedp.Focus(chromedp.CSS(`#events select`)))
		value[bool](b, fmt.Sprintf(`(() => { const s = document.activeElement; s.value = %q; return s.dispatchEvent(new Event('change')) })()`, v))
	}
	choose("node-c")
	b.until(`[...document.querySelectorAll('.events li')].length > 1 && [...document.querySelectorAll('.events li')].every((li) => li.dataset.member === 'node-c')`)
	choose("")
	b.until(`[...document.querySelectorAll('.events li')].length > 1 && [...document.querySelectorAll('.events li')].every((li) => !li.dataset.member)`)
	choose("*")
	b.sameEvents(a)

	// The keyboard reaches the list and scrolls it. Newer events do not move what is read.
	b.size(420, 900)
	b.until(`innerWidth === 420`)
	b.until(`document.querySelector('.timeline').scrollHeight > document.querySelector('.timeline').clientHeight + 40`)
	value[bool](b, `(document.querySelector('#events select').focus(), true)`)
	b.do(chromedp.KeyEvent(kb.Tab))
	if !value[bool](b, `document.activeElement.matches('.timeline') && getComputedStyle(document.activeElement).outlineStyle === 'solid'`) {
		t.Fatal("Tab does not lead to the list, or the focus there cannot be seen")
	}
	b.do(chromedp.KeyEvent(kb.End))
	b.until(`(() => { const box = document.querySelector('.timeline'); return box.scrollTop > 30 && box.scrollTop + box.clientHeight >= box.scrollHeight - 1 })()`)
	const read = `(() => { const box = document.querySelector('.timeline').getBoundingClientRect(); return Math.round(document.querySelector('.events li:last-child').getBoundingClientRect().bottom - box.top) })()`
	at, rows := value[int](b, read), value[int](b, `document.querySelectorAll('.events li').length`)
	nodes[1].kill()
	b.until(`document.querySelector('.events li[data-event=refusing]')`)
	b.until(fmt.Sprintf(`document.querySelectorAll('.events li').length > %d`, rows))
	if got := value[int](b, read); got < at-2 || got > at+2 {
		t.Errorf("what was read at %d is at %d after newer events", at, got)
	}
	b.size(width, height)
	b.sameEvents(a)
}

// sameEvents waits until the page shows the node's last events, the newest first.
func (b *browser) sameEvents(n *process) {
	b.t.Helper()
	await(b.t, "the node's events on the page", func() bool {
		var s document.Status
		if err := json.Unmarshal([]byte(n.call("/cluster", "events", "50")), &s); err != nil {
			b.t.Fatal(err)
		}
		shown := value[[]string](b, `[...document.querySelectorAll('.events li')].map((li) => li.querySelector('time').dateTime + ' ' + li.dataset.event + ' ' + li.querySelector('.told').innerText)`)
		if len(shown) != len(s.Events) {
			return false
		}
		for i, e := range s.Events {
			told := e.Text
			if reason, ok := strings.CutPrefix(told, strings.ReplaceAll(e.Name, "-", " ")+": "); ok {
				told = reason // the badge has said the verdict
			}
			want := fmt.Sprintf("%s %s %s", e.At.Format("2006-01-02T15:04:05.999999999Z07:00"), e.Name, told)
			if shown[len(shown)-1-i] != want {
				return false
			}
		}
		return len(shown) > 0
	})
}

// pause stops the node's process, as a machine that hangs does. goOn lets it continue.
func (p *process) pause() { p.signal(syscall.SIGSTOP) }

// goOn lets a process that pause has stopped continue.
func (p *process) goOn() { p.signal(syscall.SIGCONT) }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// looks checks that the page fits the window of a phone. If the flag -screenshots is given, it
// keeps pictures of the page in both colour schemes, and in the light one at a phone's width.
func (b *browser) looks(name string) {
	b.t.Helper()
	b.picture(name)
	b.scheme("dark")
	b.picture(name + "-dark")
	b.scheme("light")
	b.size(360, 800)
	b.until(`innerWidth === 360`)
	if over := value[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		b.t.Errorf("%s is %d pixels too wide for a window of 360", name, over)
	}
	if over := value[int](b, `Math.max(0, ...[...document.querySelectorAll('.scroll')].map((s) => s.scrollWidth - s.clientWidth))`); over > 0 {
		b.t.Errorf("a table of %s is %d pixels too wide for a window of 360", name, over)
	}
	b.picture(name + "-phone")
	b.size(width, height)
	b.until(`innerWidth === ` + fmt.Sprint(width))
}

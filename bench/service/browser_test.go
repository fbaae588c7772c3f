//go:build browser

package service_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"viakv/bench/service"
)

// browse opens a real Chromium. Each complaint of the browser fails the test, also one about a
// violated policy.
func browse(t *testing.T) context.Context {
	t.Helper()
	allocator, stop := chromedp.NewExecAllocator(context.Background(), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	// The browser lives as long as the context of this first call.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var complaints []string
	if err := chromedp.Listen(ctx, func(e any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := e.(type) {
		case *log.EventEntryAdded:
			complaints = append(complaints, fmt.Sprint(e.Entry.Level, ": ", e.Entry.Text))
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, fmt.Sprint(e.ExceptionDetails.Text, " ", e.ExceptionDetails.URL, ":", e.ExceptionDetails.LineNumber))
			if thrown := e.ExceptionDetails.Exception; thrown != nil {
				complaints = append(complaints, thrown.Description)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range complaints {
			t.Error("the browser says: ", c)
		}
	})
	call(t, ctx, log.Enable, cdp.Empty{})
	call(t, ctx, runtime.Enable, cdp.Empty{})
	return ctx
}

// patience is the longest time for one action with the browser.
const patience = time.Minute

func act(t *testing.T, ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

func run[T any](t *testing.T, ctx context.Context, a chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func call[P, R any](t *testing.T, ctx context.Context, c cdp.Command[P, R], p P) {
	t.Helper()
	if _, err := chromedp.Call(ctx, c, p); err != nil {
		t.Fatal(err)
	}
}

func script(t *testing.T, ctx context.Context, text string) {
	t.Helper()
	act(t, ctx, chromedp.Evaluate[chromedp.Void](text))
}

func visible(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(chromedp.CSS(selector))
}

func click(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector))
}

func textOf(t *testing.T, ctx context.Context, selector string) string {
	t.Helper()
	return run(t, ctx, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector)))
}

// fill sets fields to values, as a user would.
func fill(t *testing.T, ctx context.Context, values map[string]string) {
	t.Helper()
	for name, v := range values {
		script(t, ctx, fmt.Sprintf(`document.forms[0].elements[%q].value = %q`, name, v))
	}
}

func choose(t *testing.T, ctx context.Context, scenario string) {
	t.Helper()
	script(t, ctx, fmt.Sprintf(`document.querySelector("input[name=scenario][value=%s]").click()`, scenario))
}

// picture checks that the page is not wider than the window. It keeps a picture of the page in the
// directory that SCREENSHOTS names.
func picture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	for _, width := range []int64{1280, 420} {
		for _, scheme := range []string{"light", "dark"} {
			act(t, ctx, chromedp.EmulateViewport(width, 900))
			call(t, ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			if run(t, ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > document.documentElement.clientWidth`)) {
				t.Errorf("%s is wider than %d pixels", name, width)
			}
			png := run(t, ctx, chromedp.FullScreenshot(100))
			if dir := os.Getenv("SCREENSHOTS"); dir != "" {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), png, 0o644); err != nil {
					t.Error(err)
				}
			}
		}
	}
	act(t, ctx, chromedp.EmulateViewport(1280, 900))
}

func TestARunOnThePage(t *testing.T) {
	url := start(t, service.Config{Targets: []string{target(t)}})
	ctx := browse(t)
	act(t, ctx, chromedp.Navigate(url), visible("#fields textarea"))
	picture(t, ctx, "empty")
	choose(t, ctx, "load")
	fill(t, ctx, map[string]string{"keys": "5000"})
	act(t, ctx, click("#start"))
	eventually(t, "the load is kept", func() bool { return strings.Contains(textOf(t, ctx, "#past"), "5,000 pairs scanned") })

	choose(t, ctx, "run")
	fill(t, ctx, map[string]string{"keys": "5000", "duration": "4s", "warmup": "1s", "rate": "500"})
	act(t, ctx, click("#start"))
	eventually(t, "two seconds are plotted", func() bool {
		points := run(t, ctx, chromedp.Evaluate[bool](`(document.querySelector("#plot-rate path")?.getAttribute("d") ?? "").includes("L")`))
		return points && strings.Contains(textOf(t, ctx, "#live-state"), "running")
	})
	picture(t, ctx, "running")
	// V2: everything is there again.
	act(t, ctx, chromedp.Reload(), visible("#plots"))
	if state := textOf(t, ctx, "#live-state"); !strings.Contains(state, "running") && !strings.Contains(state, "done") {
		t.Errorf("after the reload: %q", state)
	}
	eventually(t, "the run is kept", func() bool { return strings.Count(textOf(t, ctx, "#past"), "passed") == 2 })
	if state := textOf(t, ctx, "#live-state"); !strings.Contains(state, "done") {
		t.Errorf("at the end: %q", state)
	}
	script(t, ctx, `document.querySelectorAll("#past input").forEach((b) => b.click())`)
	act(t, ctx, click("#compare"), visible("#comparison table"))
	if table := textOf(t, ctx, "#comparison"); !strings.Contains(table, "throughput") || !strings.Contains(table, "p99") {
		t.Errorf("comparison: %q", table)
	}
	picture(t, ctx, "done")

	report := run(t, ctx, chromedp.Evaluate[string](`document.querySelector("#past a[href$='.html']").href`))
	act(t, ctx, chromedp.Navigate(report), visible(".tiles"))
	drawn := run(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll("figure svg path").length`))
	if title := textOf(t, ctx, "h1"); !strings.Contains(title, "run of mix b") || drawn < 10 {
		t.Errorf("report %q with %d paths", title, drawn)
	}
	picture(t, ctx, "report")
}

// mortal returns the URL of a server that relays connections to a target, and a function that ends
// it.
func mortal(t *testing.T, target string) (url string, end func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	context.AfterFunc(ctx, func() { _ = l.Close() })
	var relaying sync.WaitGroup
	relaying.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			relaying.Go(func() {
				defer from.Close()
				to, err := net.Dial("tcp", strings.TrimPrefix(target, "http://"))
				if err != nil {
					return
				}
				defer to.Close()
				defer context.AfterFunc(ctx, func() { _, _ = from.Close(), to.Close() })()
				relaying.Go(func() { _, _ = io.Copy(to, from) })
				_, _ = io.Copy(from, to)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		relaying.Wait()
	})
	return "http://" + l.Addr().String(), cancel
}

// TestARunThatWasNotServedOnThePage checks that the page says so while the run goes on, and that
// its tiles show the whole run when it is over.
func TestARunThatWasNotServedOnThePage(t *testing.T) {
	to, end := mortal(t, target(t))
	url := start(t, service.Config{Targets: []string{to}})
	ctx := browse(t)
	act(t, ctx, chromedp.Navigate(url), visible("#fields textarea"))
	fill(t, ctx, map[string]string{"keys": "1000", "mix": "a", "distribution": "uniform", "duration": "5s", "warmup": "0s", "rate": "500", "maxMisses": "100"})
	act(t, ctx, click("#start"))
	eventually(t, "two seconds are plotted", func() bool {
		return run(t, ctx, chromedp.Evaluate[bool](`(document.querySelector("#plot-rate path")?.getAttribute("d") ?? "").includes("L")`))
	})
	if caption := textOf(t, ctx, "#tiles-of"); !strings.Contains(caption, "last second") {
		t.Errorf("while it runs, the tiles are of: %q", caption)
	}
	end()
	eventually(t, "the run is kept", func() bool { return strings.Contains(textOf(t, ctx, "#past"), "failed") })
	eventually(t, "the page says that it did not pass", func() bool { return strings.Contains(textOf(t, ctx, "#live-state"), "It did not pass:") })
	if state := textOf(t, ctx, "#live-state"); !strings.Contains(state, "were not served") {
		t.Errorf("at the end: %q", state)
	}
	if caption := textOf(t, ctx, "#tiles-of"); !strings.Contains(caption, "whole run") {
		t.Errorf("at the end, the tiles are of: %q", caption)
	}
	// The tiles and the list of past runs say the same.
	tiles := run(t, ctx, chromedp.Evaluate[map[string]string](`Object.fromEntries([...document.querySelectorAll("#tiles .tile")].map((t) => [t.querySelector("small").innerText, t.querySelector("b").innerText]))`))
	past := textOf(t, ctx, "#past")
	for name, text := range map[string]string{"answered/s": " answered/s", "misses": " misses", "failed": " failed", "dropped": " dropped"} {
		if tiles[name] == "" || tiles[name] == "0" || !strings.Contains(past, tiles[name]+text) {
			t.Errorf("the tile %s says %q, and the list %q", name, tiles[name], past)
		}
	}
	if tiles["refused"] != "0" || tiles["unconnected"] == "" || !strings.Contains(past, "p99 "+tiles["p99"]) {
		t.Errorf("the tiles say %v, and the list %q", tiles, past)
	}
	for _, key := range []string{"answered", "refused", "misses", "failed", "asked", "unconnected"} {
		if keys := textOf(t, ctx, "#plot-rate-keys"); !strings.Contains(keys, key) {
			t.Errorf("the chart's keys %q lack %q", keys, key)
		}
	}
	picture(t, ctx, "not-served")
	// A reload shows the same.
	act(t, ctx, chromedp.Reload(), visible("#plots"))
	eventually(t, "the whole run is shown again", func() bool { return strings.Contains(textOf(t, ctx, "#tiles-of"), "whole run") })
	act(t, ctx, chromedp.Navigate(run(t, ctx, chromedp.Evaluate[string](`document.querySelector("#past a[href$='.html']").href`))), visible(".tiles"))
	if figures := textOf(t, ctx, ".tiles"); !strings.Contains(figures, "refused") || !strings.Contains(figures, "misses") || !strings.Contains(figures, "dropped") {
		t.Errorf("the report's tiles: %q", figures)
	}
	picture(t, ctx, "not-served-report")
}

func TestBadInputOnThePage(t *testing.T) {
	url := start(t, service.Config{Targets: []string{"http://198.51.100.7:80"}})
	ctx := browse(t)
	act(t, ctx, chromedp.Navigate(url), visible("#fields textarea"))
	fill(t, ctx, map[string]string{"duration": "0s"})
	call(t, ctx, log.Disable, cdp.Empty{})
	// The answer is a 403, which the browser's log shows as well. The test checks the page's own
	// text.
	act(t, ctx, click("#start"), visible("#fault"))
	if fault := textOf(t, ctx, "#fault"); !strings.Contains(fault, "allow-remote") {
		t.Errorf("got %q", fault)
	}
}

func TestStopOnThePage(t *testing.T) {
	url := start(t, service.Config{Targets: []string{target(t)}})
	ctx := browse(t)
	act(t, ctx, chromedp.Navigate(url), visible("#fields textarea"))
	fill(t, ctx, map[string]string{"keys": "100", "duration": "10m", "rate": "100"})
	act(t, ctx, click("#start"), visible("#stop"), click("#start"), visible("#queue li"))
	// Not by the mouse: the plots that appear meanwhile move the button.
	script(t, ctx, `document.querySelector("#queue button").click()`)
	act(t, ctx, chromedp.WaitNotVisible(chromedp.CSS("#queue")), visible("#stop"))
	script(t, ctx, `document.querySelector("#stop").click()`)
	eventually(t, "the stopped run is kept", func() bool { return strings.Contains(textOf(t, ctx, "#past"), "stopped before its end") })
}

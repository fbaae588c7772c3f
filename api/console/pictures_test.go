//go:build browser

package console_test

import (
	"fmt"
	"testing"
	"time"
)

// TestPicturesForTheDocumentation draws the pictures of docs/console.md: go test -tags browser -run
// Pictures ./api/console -screenshots ../../docs/images
func TestPicturesForTheDocumentation(t *testing.T) {
	if *screenshots == "" {
		return // the other tests look at the same pages
	}
	nodes := startCluster(t, "node-a", "node-b", "node-c")
	for i := range 400 {
		nodes[i%3].call("/set", "k", fmt.Sprintf("user:%03d", i), "v", fmt.Sprintf(`{"visits":%d}`, i*7%90))
	}
	b := openBrowser(t)
	b.open(nodes[0], "overview")
	for wave := range 7 {
		var stops []func()
		for range []int{1, 2, 2, 3, 1, 2, 2}[wave] {
			stops = append(stops, load(t, nodes[0]))
		}
		time.Sleep(12 * time.Second) // the picture shows time that has passed
		if wave == 6 {
			b.picture("console-overview")
		}
		for _, stop := range stops {
			stop()
		}
	}
	b.scheme("dark")
	b.open(nodes[0], "data")
	b.until(`document.querySelector('.pairlist button')`)
	b.click(`.pairlist li:nth-child(3) button`)
	b.until(`document.querySelectorAll('.copies .badge').length === 3`)
	b.picture("console-data")
	b.scheme("light")
	defer load(t, nodes[0])()
	nodes[1].kill()
	nodes[2].kill()
	b.open(nodes[0], "overview")
	b.until(`document.querySelectorAll('.card[data-level=bad]').length === 2`)
	b.until(`document.querySelector('.events li[data-event=refusing]')`)
	b.expect("503", "Failed to load resource")
	b.until(figure(0) + ` === '0/s'`)
	b.until(`document.querySelector('.figures [data-level=bad]').innerText.includes('Errors, 100 %')`)
	time.Sleep(12 * time.Second) // as above
	b.picture("console-refusing")
}

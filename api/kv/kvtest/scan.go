package kvtest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"viakv/api/kv"
)

// scanKeys is a number of keys that exceeds a page of any store here.
const scanKeys = 1500

func numbered(n int) map[string]string {
	m := make(map[string]string, n)
	for i := range n {
		m[fmt.Sprintf("key %05d", i)] = fmt.Sprintf("value %d %s", i, strings.Repeat("v", i%50))
	}
	return m
}

func scanAll(t testing.TB, open Open) {
	s := open(t)
	mustEqual(t, collect(t, s, kv.ScanOptions{Values: true}), nil, true)
	want := numbered(scanKeys)
	fill(t, s, want)
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true}), want, true)
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient()}), want, false)
	// Without a deadline a scan may take as long as its reader.
	mustEqual(t, collect(t, s, kv.ScanOptions{Values: true}), want, true)
}

func scanPrefix(t testing.TB, open Open) {
	s := open(t)
	all := numbered(700)
	for _, k := range odd {
		all[k] = "odd"
	}
	fill(t, s, all)
	prefixes := []string{"", "key", "key 0", "key 0069", "key 00001", "key 9", "nothing", "\x00", "a", "a\x00", "\U0010ffff", "z\U0010ffff", "\xed\x9f\xbf", "x", " ", "ä", "𝄞", "%"}
	for _, prefix := range prefixes {
		want := map[string]string{}
		for k, v := range all {
			if strings.HasPrefix(k, prefix) {
				want[k] = v
			}
		}
		mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true, Prefix: prefix}), want, true)
		mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Prefix: prefix}), want, false)
	}
}

// scanPages walks in pages of many sizes. Each page is a scan of its own that is left early, as a
// client with a limit does.
func scanPages(t testing.TB, open Open) {
	s := open(t)
	want := numbered(1200)
	fill(t, s, want)
	for _, limit := range []int{1200, 1201, 1199, 601, 512, 97} {
		mustEqual(t, walk(t, s, "", limit), want, true)
	}
	few := map[string]string{}
	for k, v := range want {
		if strings.HasPrefix(k, "key 0000") {
			few[k] = v
		}
	}
	for _, limit := range []int{1, 3, 10} {
		mustEqual(t, walk(t, s, "key 0000", limit), few, true)
	}
}

// walk pages through the store by cursors and returns what it found.
func walk(t testing.TB, s kv.Store, prefix string, limit int) map[string]string {
	t.Helper()
	found := map[string]string{}
	cursor := ""
	for {
		next, n := page(t, s, kv.ScanOptions{Options: patient(), Values: true, Prefix: prefix, Cursor: cursor}, limit, found)
		if next == "" {
			return found
		}
		if n != limit {
			t.Fatalf("a page of %d pairs, limit %d, with a cursor", n, limit)
		}
		if next == cursor {
			t.Fatal("the cursor does not move")
		}
		cursor = next
	}
}

// page adds up to limit pairs to found and returns the cursor of the next page.
func page(t testing.TB, s kv.Store, o kv.ScanOptions, limit int, found map[string]string) (cursor string, n int) {
	t.Helper()
	sc, err := s.Scan(background, o)
	if err != nil {
		t.Fatalf("scan at %q: %v", o.Cursor, err)
	}
	defer sc.Close()
	var b kv.Batch
	for {
		more, err := sc.Next(background, &b)
		if err != nil {
			t.Fatalf("next: %v", err)
		}
		if !more {
			return "", n
		}
		for i, p := range b.Pairs {
			if _, twice := found[string(p.Key)]; twice {
				t.Fatalf("pages of %d: key %q came twice", limit, p.Key)
			}
			found[string(p.Key)] = string(p.Value)
			if n++; n == limit {
				return sc.Cursor(i + 1), n
			}
		}
	}
}

// scanUnderWrites scans beside writes. Keys that are there throughout must come exactly once and
// with their value.
func scanUnderWrites(t testing.TB, open Open) {
	const rounds = 4
	s := open(t)
	stable := numbered(scanKeys / 2)
	fill(t, s, stable)
	var stop atomic.Bool
	var churned atomic.Int64
	var g group
	defer g.wg.Wait() // before the store is closed, also on failure
	defer stop.Store(true)
	for w := range 3 {
		g.run(func() error {
			for i := 0; !stop.Load(); i++ {
				// These keys lie before, between and behind the stable ones.
				k := []byte(fmt.Sprintf("%c key %05d churn %d", "ajz"[i%3], i%scanKeys, w))
				if i%2 == 0 {
					k = []byte(fmt.Sprintf("key %05d churn %d", i%scanKeys, w))
				}
				if _, err := s.Set(background, k, []byte("churn"), patient()); err != nil {
					return err
				}
				if i%3 != 0 {
					if err := s.Remove(background, k, patient()); err != nil {
						return err
					}
				}
				churned.Add(1)
			}
			return nil
		})
	}
	for range rounds {
		from := churned.Load()
		g.until(t, "writes beside the scan", func() bool { return churned.Load() > from+20 })
		found, err := tryCollect(t, s, kv.ScanOptions{Options: patient(), Values: true})
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		for k, v := range found {
			if !strings.Contains(k, "churn") {
				continue
			}
			if v != "churn" {
				t.Fatalf("key %q has value %q, which nobody wrote", k, v)
			}
			delete(found, k)
		}
		mustEqual(t, found, stable, true)
	}
	stop.Store(true)
	g.wait(t)
}

package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// grown returns a report with a series of four sizes.
func grown() *Report {
	r := full()
	r.Growth = []Growth{
		{Keys: 10_000, LoadSeconds: 0.3, LoadRate: 34_000, GetRate: 22_000, SetRate: 14_000, ScanSeconds: 0.01, ScanMBPerSec: 98, GetP99: 6650, SetP99: 7890, BytesPerKey: 581},
		{Keys: 100_000, LoadSeconds: 3, LoadRate: 34_000, GetRate: 22_000, SetRate: 14_000, ScanSeconds: 0.1, GetP99: 6650, SetP99: 7890, BytesPerKey: 200},
		{Keys: 1_000_000, LoadSeconds: 30, LoadRate: 34_000, GetRate: 22_000, SetRate: 14_000, ScanSeconds: 1, GetP99: 6650, SetP99: 7890, BytesPerKey: 150},
		{Keys: 10_000_000, LoadSeconds: 300, LoadRate: 34_000, GetRate: 22_000, SetRate: 14_000, ScanSeconds: 10, GetP99: 6650, SetP99: 7890, BytesPerKey: 146},
	}
	return r
}

const page1 = "# Performance\n\n" + growthBegins + "\nold\n" + growthEnds + "\nThe rest.\n"

func TestGrowthIsPublished(t *testing.T) {
	docs := t.TempDir()
	document := filepath.Join(docs, "performance.md")
	if err := os.WriteFile(document, []byte(page1), 0o644); err != nil {
		t.Fatal(err)
	}
	// The second time it replaces what it has written the first time.
	for range 2 {
		paths, err := grown().PublishGrowth(docs)
		if err != nil || len(paths) != 6 {
			t.Fatalf("%v %v", paths, err)
		}
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Performance\n\n" + growthBegins, "| 10,000 | 300ms | 34,000 | 581 | 22,000 | 6.65ms |", "| 10,000,000 |", growthEnds + "\nThe rest.\n"} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Errorf("the old table is still there:\n%s", text)
	}
	for _, name := range []string{"throughput", "latency", "load", "scan", "memory"} {
		drawing, err := os.ReadFile(filepath.Join(docs, "images", "growth-"+name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		standsAlone(t, name, string(drawing))
	}
}

// standsAlone checks that a drawing is well formed, has dark colours too, names all its colours and
// loads nothing from elsewhere.
func standsAlone(t *testing.T, name, drawing string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(drawing))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, want := range []string{"prefers-color-scheme:dark", `aria-label="`, "10k", "10M"} {
		if !strings.Contains(drawing, want) {
			t.Errorf("%s has no %q", name, want)
		}
	}
	for _, unwanted := range []string{"rgb(250,1,", "href", "@import", "<script"} {
		if strings.Contains(drawing, unwanted) {
			t.Errorf("%s has %q", name, unwanted)
		}
	}
}

func TestGrowthIsKeptBesideTheReport(t *testing.T) {
	paths, err := grown().Save(t.TempDir(), "g")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	for _, want := range []string{"g.json", "g.html", "g.md", "g-throughput.svg", "g-memory.svg"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s in %v", want, names)
		}
	}
	one := grown()
	one.Growth = one.Growth[:1]
	if paths, err = one.Save(t.TempDir(), "g"); err != nil || slices.ContainsFunc(paths, func(p string) bool { return strings.HasSuffix(p, ".svg") }) {
		t.Errorf("one size: %v %v", paths, err)
	}
}

func TestGrowthWithoutAPlace(t *testing.T) {
	docs := t.TempDir()
	if _, err := grown().PublishGrowth(docs); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no document: %v", err)
	}
	document := filepath.Join(docs, "performance.md")
	for text, want := range map[string]string{"# Performance\n": "no place", "x\n" + growthBegins + "\nold\n": "no place"} {
		if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := grown().PublishGrowth(docs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
		if after, err := os.ReadFile(document); err != nil || string(after) != text {
			t.Errorf("%q became %q, %v", text, after, err)
		}
	}
	if err := os.WriteFile(document, []byte(page1), 0o644); err != nil {
		t.Fatal(err)
	}
	one := grown()
	one.Growth = one.Growth[:1]
	if _, err := one.PublishGrowth(docs); err == nil {
		t.Error("one size was published")
	}
}

package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
)

// anchors returns the anchors of a page, made from its headings as code hosts make them.
func (d *docPage) anchors() map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(d.prose, -1) {
		var b strings.Builder
		for _, r := range strings.ToLower(strings.TrimSpace(m[1])) {
			switch {
			case r == ' ':
				b.WriteByte('-')
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				b.WriteRune(r)
			}
		}
		all[b.String()] = true
	}
	return all
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	pages := documentsByPath(t)
	for _, d := range pages {
		for _, m := range link.FindAllStringSubmatch(d.prose, -1) {
			to := m[1]
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			if d.path == "docs/adr/template.md" && strings.Contains(to, "NNNN") {
				continue // a place to fill in
			}
			file, anchor, _ := strings.Cut(to, "#")
			target := d.path
			if file != "" {
				target = path.Join(path.Dir(d.path), file)
				if _, err := os.Stat(filepath.Join(module, filepath.FromSlash(target))); err != nil {
					t.Errorf("%s: the link to %s leads nowhere", d.path, to)
					continue
				}
			}
			if page, is := pages[target]; anchor != "" && (!is || !page.anchors()[anchor]) {
				t.Errorf("%s: the link to %s names a heading that %s does not have", d.path, to, target)
			}
		}
	}
}

// Every file below docs can be reached by following links from the README. A link to a directory
// leads to everything in it.
func TestEveryPageIsReachable(t *testing.T) {
	pages := documentsByPath(t)
	reached := map[string]bool{}
	var follow func(string)
	follow = func(name string) {
		if reached[name] {
			return
		}
		reached[name] = true
		d := pages[name]
		for _, m := range link.FindAllStringSubmatch(d.prose, -1) {
			if file, _, _ := strings.Cut(m[1], "#"); file != "" && !strings.Contains(file, "://") {
				follow(path.Join(path.Dir(name), file))
			}
		}
	}
	follow("README.md")
	err := filepath.Walk(filepath.Join(module, "docs"), func(file string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() || path.Ext(file) == ".go" {
			return err
		}
		name, err := filepath.Rel(module, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		found := reached[name]
		for dir := path.Dir(name); dir != "docs" && !found; dir = path.Dir(dir) {
			found = reached[dir] && path.Ext(name) != ".md"
		}
		if !found {
			t.Errorf("no link leads from the README to %s", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

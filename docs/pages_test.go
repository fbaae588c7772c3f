package docs

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// docPage is one page of the documentation, as the tests read it.
type docPage struct {
	path   string // from the top of the repository, with slashes
	text   string
	prose  string // the text without its fenced blocks
	blocks []block
}

// block is a fenced block.
type block struct {
	line     int
	language string // the first word after the fence
	// The second word after the fence is "stays": what the block starts keeps its terminal.
	stays bool
	text  string
}

// isShell reports whether the block shows commands.
func (b *block) isShell() bool { return b.language == "sh" || b.language == "console" }

// documents reads all pages: those at the top level, and all below docs.
func documents(t *testing.T) (all []docPage) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(module, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(module, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		name, err := filepath.Rel(module, path)
		if err != nil {
			t.Fatal(err)
		}
		d := docPage{path: filepath.ToSlash(name)}
		d.text = string(viakvtest.Shipped(t, d.path))
		d.split(t)
		all = append(all, d)
	}
	if len(all) < 10 {
		t.Fatalf("found %d documents only", len(all))
	}
	return all
}

func documentsByPath(t *testing.T) map[string]docPage {
	t.Helper()
	pages := map[string]docPage{}
	for _, d := range documents(t) {
		pages[d.path] = d
	}
	return pages
}

// split separates the prose from the fenced blocks.
func (d *docPage) split(t *testing.T) {
	t.Helper()
	var prose []string
	var open *block
	var lines []string
	for i, line := range strings.Split(d.text, "\n") {
		fence, found := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case found && open == nil:
			info := strings.Fields(fence)
			open, lines = &block{line: i + 1}, nil
			if len(info) > 0 {
				open.language, open.stays = info[0], slices.Contains(info[1:], "stays")
			}
		case found:
			open.text = strings.Join(lines, "\n")
			d.blocks = append(d.blocks, *open)
			open = nil
		case open != nil:
			lines = append(lines, line)
		default:
			prose = append(prose, line)
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block has no end", d.path, open.line)
	}
	d.prose = strings.Join(prose, "\n")
}

var codeSpan = regexp.MustCompile("`([^`\n]+)`")

// spans returns the texts between backticks in the prose.
func (d *docPage) spans() (found []string) {
	for _, m := range codeSpan.FindAllStringSubmatch(d.prose, -1) {
		found = append(found, m[1])
	}
	return found
}

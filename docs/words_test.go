package docs

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// Widths in columns; a tab counts four.
const (
	commentColumns  = 100 // of a line that is a comment
	trailingColumns = 110 // of a line of code with a comment behind it
	pageColumns     = 120 // of a line of a page
)

// columns returns the width of a line.
func columns(line string) (n int) {
	for _, r := range line {
		if r == '\t' {
			n += 4 - n%4
		} else {
			n++
		}
	}
	return n
}

// parsed reads a Go file with its comments.
func parsed(t *testing.T, file string) (*token.FileSet, *ast.File, []byte) {
	t.Helper()
	text := viakvtest.Shipped(t, file)
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return set, f, text
}

func TestCommentsAreNotWide(t *testing.T) {
	for file := range sources(t) {
		set, f, text := parsed(t, file)
		lines := strings.Split(string(text), "\n")
		for _, group := range f.Comments {
			for _, c := range group.List {
				at := set.Position(c.Pos())
				for i, part := range strings.Split(c.Text, "\n") {
					line := lines[at.Line-1+i]
					if fault := wideComment(line, part); fault != "" {
						t.Errorf("%s:%d: %s", file, at.Line+i, fault)
					}
				}
			}
		}
	}
}

// wideComment says why a line of a comment is too wide; empty: it is not. Directives and links
// cannot be wrapped, and code that is wide by itself is not the comment's fault.
func wideComment(line, comment string) string {
	if strings.HasPrefix(comment, "//go:") || strings.HasPrefix(comment, "//nolint") || strings.Contains(comment, "https://") {
		return ""
	}
	code := strings.TrimSpace(strings.TrimSuffix(line, comment))
	switch {
	case code == "" && columns(line) > commentColumns:
		return "wrap the comment at 100 columns"
	case code != "" && columns(line) > trailingColumns && columns(strings.TrimSuffix(line, comment)) <= trailingColumns:
		return "put the comment above the line, which has more than 110 columns with it"
	}
	return ""
}

// testName matches the functions that the test runner calls. Their comments say what is tested.
var testName = regexp.MustCompile(`^(Test|Benchmark|Fuzz|Example)`)

// A comment begins with the name that it explains. One that begins otherwise was often left behind
// by a rename.
func TestCommentsBeginWithTheirName(t *testing.T) {
	for file := range sources(t) {
		set, f, _ := parsed(t, file)
		check := func(doc *ast.CommentGroup, name *ast.Ident) {
			if !explains(doc, name.Name) {
				t.Errorf("%s:%d: the comment of %s does not begin with its name", file, set.Position(doc.Pos()).Line, name.Name)
			}
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil || !strings.HasSuffix(file, "_test.go") || !testName.MatchString(d.Name.Name) {
					check(d.Doc, d.Name)
				}
			case *ast.GenDecl:
				single := !d.Lparen.IsValid()
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						check(s.Doc, s.Name)
						if single {
							check(d.Doc, s.Name)
						}
					case *ast.ValueSpec:
						if len(s.Names) == 1 {
							check(s.Doc, s.Names[0])
							if single {
								check(d.Doc, s.Names[0])
							}
						}
					}
				}
			}
		}
	}
}

// compoundName matches a word that looks like a name in the code: a capital follows a small letter
// or a digit. Names of one word cannot be told from prose.
var compoundName = regexp.MustCompile(`\b[A-Za-z]*[a-z0-9][A-Z]\w*\b`)

// properNames match compoundName and are no names in this code: those of products and standards,
// names in libraries that the code does not use, and a form of text.
var properNames = map[string]bool{
	"HostClient": true, "JavaScript": true, "MutationGate": true, "OpenAPI": true, "SipHash": true, "TextMarshaler": true, "TextUnmarshaler": true,
	"W3C": true, "WriteSyncer": true, "WriterTo": true, "deleteMany": true, "endSessions": true, "gRPC": true, "uXXXX": true,
}

// A comment that names something which was renamed or removed misleads its reader.
func TestCommentsNameWhatExists(t *testing.T) {
	words := map[string]bool{} // all names in the code, and all words of its strings
	word := regexp.MustCompile(`\w+`)
	for file := range sources(t) {
		_, f, _ := parsed(t, file)
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				words[n.Name] = true
			case *ast.BasicLit:
				for _, w := range word.FindAllString(n.Value, -1) {
					words[w] = true
				}
			}
			return true
		})
	}
	for file := range sources(t) {
		set, f, _ := parsed(t, file)
		for _, group := range f.Comments {
			for _, name := range compoundName.FindAllString(group.Text(), -1) {
				if !words[name] && !properNames[name] {
					t.Errorf("%s:%d: the comment names %s, which does not exist", file, set.Position(group.Pos()).Line, name)
				}
			}
		}
	}
}

// explains reports whether a comment begins with a name, perhaps behind an article.
func explains(doc *ast.CommentGroup, name string) bool {
	text := doc.Text() // without directives
	return text == "" || name == "_" || regexp.MustCompile(`^((A|An|The) )?`+regexp.QuoteMeta(name)+`\b`).MatchString(text)
}

// The checks above must see what they are for.
func TestFaultyCommentsAreSeen(t *testing.T) {
	wide := strings.Repeat("x", 97)
	for _, test := range []struct {
		code, comment string
		faulty        bool
	}{
		{"", "// " + wide, false},
		{"\t", "// " + wide, true},
		{"", "// https://" + wide, false},
		{strings.Repeat("y", 100), "// " + wide[:7], false},
		{strings.Repeat("y", 100), "// " + wide[:8], true},
		{strings.Repeat("y", 111), "// " + wide, false}, // the code is wide by itself
	} {
		if fault := wideComment(test.code+test.comment, test.comment); (fault != "") != test.faulty {
			t.Errorf("%q behind %q: %q", test.comment, test.code, fault)
		}
	}
	for comment, explained := range map[string]bool{
		"// find returns it.": true, "// A find is good.": true, "// find, and more.": true,
		"// findAll returns them.": false, "// returns it.": false, "// find2 returns it.": false,
	} {
		doc := &ast.CommentGroup{List: []*ast.Comment{{Text: comment}}}
		if explains(doc, "find") != explained {
			t.Errorf("%q as the comment of find: want %v", comment, explained)
		}
	}
}

// Tables, pictures and lines with a link cannot be wrapped. Of the fenced blocks, those of sh are
// held to the width.
func TestPagesAreNotWide(t *testing.T) {
	for _, d := range documents(t) {
		free := map[int]bool{} // numbers of lines in blocks that are not of sh
		for _, b := range d.blocks {
			for i := range strings.Split(b.text, "\n") {
				free[b.line+1+i] = b.language != "sh"
			}
		}
		for i, line := range strings.Split(d.text, "\n") {
			whole := strings.HasPrefix(line, "|") || strings.HasPrefix(line, "![") || strings.Contains(line, "https://")
			if columns(line) > pageColumns && !whole && !free[i+1] {
				t.Errorf("%s:%d: the line has %d columns: wrap it at %d", d.path, i+1, columns(line), pageColumns)
			}
		}
	}
}

var (
	citedRule  = regexp.MustCompile(`\b[DLMG][0-9]+\b`)
	listedRule = regexp.MustCompile(`(?m)^\| ([DLMG][0-9]+) \|`)
)

// Code and pages cite the rules of the protocol by number. The number must lead to what the rule
// says. A record that is superseded keeps its text, even where it cites a rule that is gone.
func TestRulesThatAreCitedAreListed(t *testing.T) {
	listed := map[string]bool{}
	for _, m := range listedRule.FindAllSubmatch(viakvtest.Shipped(t, "docs/consistency.md"), -1) {
		listed[string(m[1])] = true
	}
	if len(listed) < 20 {
		t.Fatalf("docs/consistency.md lists %d rules; is the pattern still right?", len(listed))
	}
	cited := 0
	check := func(where, text string) {
		for _, rule := range citedRule.FindAllString(text, -1) {
			cited++
			if !listed[rule] {
				t.Errorf("%s cites %s, which docs/consistency.md does not list", where, rule)
			}
		}
	}
	for file := range sources(t) {
		_, f, _ := parsed(t, file)
		for _, group := range f.Comments {
			check(file, group.Text())
		}
	}
	for _, d := range documents(t) {
		if !strings.Contains(d.text, "\nStatus: superseded by ") || !strings.HasPrefix(d.path, "docs/adr/") {
			check(d.path, d.prose)
		}
	}
	if cited < 100 {
		t.Errorf("found %d citations only; is the pattern still right?", cited)
	}
}

// glossaryPackages are the packages whose terms need the glossary.
var glossaryPackages = []string{"handoff", "node", "node/peer", "node/topology", "quorum", "quorum/replica", "quorum/scan", "ring"}

func TestTheGlossaryIsFound(t *testing.T) {
	for _, dir := range glossaryPackages {
		if !bytes.Contains(viakvtest.Shipped(t, dir+"/doc.go"), []byte("docs/glossary.md")) {
			t.Errorf("%s/doc.go does not lead to docs/glossary.md", dir)
		}
	}
}

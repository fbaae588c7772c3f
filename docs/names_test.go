package docs

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// names returns what the code declares: "Name", "package.Name", "Type.member" and
// "package.Type.member".
func names(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for file := range sources(t) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		_, f, _ := parsed(t, file)
		in := f.Name.Name
		all[in] = true
		declare := func(of, name string) {
			all[name] = true
			if of == "" {
				all[in+"."+name] = true
				return
			}
			all[of+"."+name], all[in+"."+of+"."+name] = true, true
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				declare(receiver(d), d.Name.Name)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						declare("", s.Name.Name)
						for _, m := range members(s.Type) {
							declare(s.Name.Name, m)
						}
					case *ast.ValueSpec:
						for _, n := range s.Names {
							declare("", n.Name)
						}
					}
				}
			}
		}
	}
	return all
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	for {
		switch x := of.(type) {
		case *ast.StarExpr:
			of = x.X
		case *ast.IndexExpr:
			of = x.X
		case *ast.IndexListExpr:
			of = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func members(of ast.Expr) (found []string) {
	var fields *ast.FieldList
	switch x := of.(type) {
	case *ast.StructType:
		fields = x.Fields
	case *ast.InterfaceType:
		fields = x.Methods
	default:
		return nil
	}
	for _, f := range fields.List {
		for _, n := range f.Names {
			found = append(found, n.Name)
		}
	}
	return found
}

// codeName matches a text that can only be a name in the code: parts joined by dots, or one word
// with a capital.
var codeName = regexp.MustCompile(`^([A-Za-z]\w*(\.[A-Za-z]\w*){1,2}|[A-Za-z]*[A-Z]\w*)(\(\))?$`)

// noNames matches texts that look like names in the code and are not.
var noNames = regexp.MustCompile(`\.(go|md|yaml|yml|json|proto|sum|mod|svg|com|localhost)$|^runtime\.|^[A-Z_0-9]+$`)

// Pages about the code name functions, types and files. A name that is gone leads nowhere.
func TestPagesNameWhatExists(t *testing.T) {
	declared := names(t)
	pages := documentsByPath(t)
	for _, page := range []string{"docs/architecture.md", "docs/glossary.md"} {
		d, checked := pages[page], 0
		for _, span := range d.spans() {
			if sourceFile.MatchString(span) {
				if _, err := os.Stat(filepath.Join(module, filepath.FromSlash(span))); err != nil {
					t.Errorf("%s names the file `%s`, which does not exist", page, span)
				}
			}
			if !codeName.MatchString(span) || noNames.MatchString(span) {
				continue
			}
			checked++
			if !declared[strings.TrimSuffix(span, "()")] {
				t.Errorf("%s names `%s`, which the code does not declare", page, span)
			}
		}
		if checked < 30 {
			t.Errorf("%s: found %d names only; is the pattern still right?", page, checked)
		}
	}
}

// sourceFile matches the path of a Go file.
var sourceFile = regexp.MustCompile(`^[a-z]+(/[a-z_]+)+\.go$`)

// testCase matches the name of a test in a page, perhaps with that of a case of it.
var testCase = regexp.MustCompile(`^((Test|Benchmark|Fuzz)[A-Z]\w*)(/.*)?$`)

// A page that says which test holds something must name one that is there.
func TestPagesNameTestsThatExist(t *testing.T) {
	declared := map[string]bool{}
	for file := range sources(t) {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		_, f, _ := parsed(t, file)
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Recv == nil {
				declared[d.Name.Name] = true
			}
		}
	}
	checked := 0
	for _, d := range documents(t) {
		for _, span := range d.spans() {
			if m := testCase.FindStringSubmatch(span); m != nil {
				checked++
				if !declared[m[1]] {
					t.Errorf("%s names the test `%s`, which does not exist", d.path, m[1])
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("found %d names of tests only; is the pattern still right?", checked)
	}
}

// A newcomer looks for the place of a change in the tables of this page.
func TestTheArchitectureNamesEveryPackage(t *testing.T) {
	named := documentsByPath(t)["docs/architecture.md"]
	spans := map[string]bool{}
	for _, span := range named.spans() {
		spans[span] = true
	}
	seen := map[string]bool{}
	for file := range sources(t) {
		seen[path.Dir(file)] = true
	}
	if len(seen) < 40 {
		t.Errorf("%d packages were found", len(seen))
	}
	for dir := range seen {
		// cmd/viakv is one call into cmd/viakv/cli.
		if !spans[dir] && dir != "cmd/viakv" {
			t.Errorf("docs/architecture.md does not name the package %s: say what it owns", dir)
		}
	}
}

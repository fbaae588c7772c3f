package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// forOthers are packages whose names are there for programs that are not in this repository.
var forOthers = []string{"api/client", "api/kv"}

// otherModules are the modules of this repository that import packages of the first.
var otherModules = []string{"bench/against/*.go", "bench/against/*/*.go", "node/database/mongodb/mongotest/*.go", "node/database/mongodb/mongotest/*/*.go"}

// exempt are exported names that no other package uses, with the reason.
var exempt = map[string]string{
	"node/topology.Kind": "small letters would make its values hide the builtin clear, and variables",
}

// An exported name is a promise to other packages. So one is exported only if another package uses
// it, or if it stands in the declaration of another exported name.
func TestExportedNamesAreUsedElsewhere(t *testing.T) {
	used, declared := map[string]bool{}, map[string]string{}
	files := slices.Collect(sources(t))
	for _, pattern := range otherModules {
		more, err := filepath.Glob(filepath.Join(module, pattern))
		if err != nil || len(more) == 0 {
			t.Fatalf("%s: %v, %v", pattern, more, err)
		}
		for _, file := range more {
			file, _ = filepath.Rel(module, file)
			files = append(files, filepath.ToSlash(file))
		}
	}
	for _, file := range files {
		_, f, _ := parsed(t, file)
		noteUses(f, used)
		dir := path.Dir(file)
		if strings.HasPrefix(dir, "node/database/mongodb/mongotest") || strings.HasPrefix(dir, "bench/against") || strings.HasSuffix(file, "_test.go") || f.Name.Name == "main" || slices.Contains(forOthers, dir) || slices.Contains(testSupport, dir) {
			continue
		}
		for name, shown := range exported(f) {
			declared[dir+"."+name] = file
			for _, s := range shown {
				used[dir+"."+s] = true
			}
		}
	}
	if len(declared) < 300 {
		t.Errorf("%d exported names were found", len(declared))
	}
	for name, file := range declared {
		switch _, isExempt := exempt[name]; {
		case isExempt && used[name]:
			t.Errorf("%s is exempt although it is used", name)
		case !isExempt && !used[name]:
			t.Errorf("%s: no other package uses %s: begin it with a small letter", file, name)
		}
	}
}

// noteUses notes the names of this module's packages that a file uses, as directory.Name.
func noteUses(f *ast.File, used map[string]bool) {
	dirs := map[string]string{}
	for _, i := range f.Imports {
		if dir, ok := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), "viakv/"); ok {
			name := path.Base(dir)
			if i.Name != nil {
				name = i.Name.Name
			}
			dirs[name] = dir
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && dirs[x.Name] != "" {
				used[dirs[x.Name]+"."+s.Sel.Name] = true
			}
		}
		return true
	})
}

// exported returns the exported names that a file declares on its top level, each with the names
// that its declaration shows: the types in signatures, fields and values. The methods of a type
// show their signatures under the name of the type.
func exported(f *ast.File) map[string][]string {
	all := map[string][]string{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if of := receiver(d); of != "" && d.Name.IsExported() {
				name = of
			}
			if ast.IsExported(name) {
				all[name] = append(all[name], identifiers(d.Type)...)
			}
		case *ast.GenDecl:
			var last []string // a constant of a list has the type of the one before
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						all[s.Name.Name] = append(all[s.Name.Name], identifiers(s.Type)...)
					}
				case *ast.ValueSpec:
					if s.Type != nil {
						last = identifiers(s.Type)
					}
					isValue := d.Tok == token.CONST && slices.ContainsFunc(last, ast.IsExported)
					for _, n := range s.Names {
						if n.IsExported() && !isValue { // the values of an exported type belong to it
							all[n.Name] = append(all[n.Name], last...)
						}
					}
				}
			}
		}
	}
	return all
}

// identifiers returns the identifiers in an expression of a type.
func identifiers(e ast.Expr) (all []string) {
	ast.Inspect(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			all = append(all, id.Name)
		}
		return true
	})
	return all
}

func TestADeclarationShowsItsNames(t *testing.T) {
	const source = `package p

import other "viakv/node/wire"

type Open struct{ F hidden; G []*Shown }

func (Open) Method(m map[string]InMethod) {}
func (Open) inner(NotShown) {}
func (hidden) Method(NotShown) {}
func Func(f func() Result) (other.Reply, error) { return Body() }

const (
	A Kind = iota
	B
	c
)
const D = 1
var V Value
`
	f, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := exported(f)
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, []string{"D", "Func", "Open", "V"}) {
		t.Errorf("exported: %v", got)
	}
	for name, shown := range map[string][]string{"Open": {"hidden", "Shown", "InMethod"}, "Func": {"Result"}, "V": {"Value"}} {
		for _, s := range shown {
			if !slices.Contains(all[name], s) {
				t.Errorf("%s does not show %s: %v", name, s, all[name])
			}
		}
		for _, s := range []string{"NotShown", "Body"} {
			if slices.Contains(all[name], s) {
				t.Errorf("%s shows %s", name, s)
			}
		}
	}
	used := map[string]bool{}
	if noteUses(f, used); !maps.Equal(used, map[string]bool{"node/wire.Reply": true}) {
		t.Errorf("used: %v", used)
	}
}

package docs

import (
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the root of the module, seen from this package.
const module = ".."

// contracts are leaf packages that every package may import: what packages that know nothing of
// each other agree on, how a connection is accepted, how files that change are followed, and how to
// wait.
var contracts = []string{"api/health", "api/kv", "api/listen", "api/reload", "api/sleep", "quorum/lease", "quorum/version", "quorum/version/rule", "quorum/watermark", "ring/keyspace"}

// room is one row of the import table. It applies to a directory and everything below it, unless a
// longer row matches.
type room struct {
	path string
	// The module's own packages that the room may import, beside the room itself and the contracts.
	// A contract may import only these. A trailing slash stands for a package and all below it.
	imports []string
	tests   []string // beside these and the contracts, for _test.go files only
}

// rooms is the import table. Dependencies go from packages that wire to packages that are pure: the
// coordinator and the repair know no node, no transport and no HTTP, and the HTTP API knows no
// node. A change of a row is a change of the architecture: say why in docs/adr.
var rooms = []room{
	{path: "quorum/lease", imports: []string{"quorum/version", "quorum/version/rule"}},
	{path: "quorum/version"},
	{path: "quorum/watermark", imports: []string{"quorum/version"}},
	{path: "ring/keyspace", imports: []string{"quorum/version/rule"}},
	{path: "api/health"},
	{path: "api/kv", imports: []string{"api/health", "quorum/version"}},
	{path: "api/listen"},
	{path: "api/reload"},
	{path: "api/sleep"},
	{path: "api/kv/kvtest"}, // the conformance suite of all stores
	{path: "ring"},
	// What all packages that work on copies of the keys say about them.
	{path: "quorum/replica", imports: []string{"ring"}},
	{path: "quorum", imports: []string{"quorum/replica"}},
	{path: "quorum/scan", imports: []string{"quorum/replica"}, tests: []string{"quorum"}},
	{path: "handoff", imports: []string{"quorum/replica"}, tests: []string{"ring"}},
	{path: "node/storage", imports: []string{"quorum/replica"}},
	{path: "node/wire", imports: []string{"quorum/replica"}},
	{path: "node/transport"},
	{path: "node/topology", imports: []string{"ring", "node/transport", "node/wire"}, tests: []string{"node/transport/"}},
	{path: "node/database"},
	{path: "node/peer", imports: []string{"quorum", "quorum/replica", "quorum/scan", "handoff", "node/storage", "node/wire", "node/transport"},
		tests: []string{"ring", "node/transport/"}},
	{path: "node", imports: []string{"ring", "quorum", "quorum/replica", "quorum/scan", "handoff", "node/storage", "node/wire", "node/transport", "node/topology", "node/peer"},
		tests: []string{"node/transport/"}},
	{path: "node/simulation", tests: []string{"node", "node/"}},
	{path: "api/document"},
	{path: "api/advice"},
	{path: "api/plan", imports: []string{"api/document", "api/advice"}},
	{path: "api/pairs"},
	{path: "api/history"},
	{path: "api", imports: []string{"api/document", "api/advice", "api/history", "api/pairs", "api/plan"}},
	{path: "api/client", imports: []string{"api/document"}, tests: []string{"api"}},
	{path: "api/console", tests: []string{"api", "api/document"}},
	{path: "bench", imports: []string{"api/client", "api/document"}, tests: []string{"api"}},
	{path: "cmd/cliutil"},
	{path: "cmd/viakv/serve", imports: []string{"api", "api/console", "api/discovery", "cmd/cliutil", "node", "node/transport", "node/transport/tcp", "node/database/"}},
	{path: "cmd/viakv/viakvtest", tests: []string{"api/document", "cmd/viakv/serve"}},
	{path: "cmd/viakv/cli", imports: []string{"api/client", "api/document", "api/pairs", "cmd/cliutil", "cmd/viakv/serve", "node/transport/tcp"}},
	{path: "cmd/viakv", imports: []string{"cmd/viakv/cli"}},
	{path: "cmd/viakv/e2e", tests: []string{"api/client", "api/document", "bench/chaos", "bench/check", "cmd/cliutil", "cmd/viakv/cli"}},
	{path: "cmd/bench", imports: []string{"bench", "bench/", "cmd/cliutil"}, tests: []string{"api"}},
	{path: "docs", tests: []string{"cmd/viakv/cli"}},
}

// testSupport are packages that every test may import, and only tests. They may do what tests may.
var testSupport = []string{"api/apitest", "api/kv/kvtest", "cmd/viakv/viakvtest", "node/database/dbtest", "node/database/postgres/pgtest",
	"quorum/replica/replicatest", "ring/keyspace/keyspacetest"}

// homes names for each library the only packages that may import it. The library is an
// implementation detail of these packages, so its types do not appear in the signatures of others.
var homes = map[string][]string{
	"github.com/buraksezer/consistent":  {"ring"},
	"go.etcd.io/raft/v3":                {"node/topology"},
	"github.com/jackc/pgx/v5":           {"node/database/postgres"},
	"go.mongodb.org/mongo-driver/v2":    {"node/database/mongodb"},
	"github.com/fasthttp/router":        {"api"},
	"github.com/valyala/fasthttp":       {"api", "bench"},
	"github.com/spf13/cobra":            {"cmd/bench", "cmd/cliutil", "cmd/viakv/cli"},
	"github.com/spf13/pflag":            {"cmd"},
	"github.com/schollz/progressbar/v3": {"cmd/cliutil"},
	"golang.org/x/term":                 {"cmd/cliutil"},
	// Only tests drive a browser, and only those with the tag browser. So neither go build nor
	// go test ./... downloads what that needs.
	"github.com/chromedp/chromedp": {},
	"github.com/chromedp/cdproto":  {},
	// Only a command uses flags, signals and processes. Bench also starts processes for its tests.
	"flag":      nil, // pflag is used instead
	"os/signal": {"cmd/bench", "cmd/viakv/cli"},
	"os/exec":   {"cmd/bench", "cmd/viakv/cli", "bench"},
}

// silent are packages that never log. They return what happened, because only their callers know
// whether it matters.
var silent = []string{"quorum", "quorum/lease", "quorum/replica", "quorum/scan", "quorum/version", "quorum/watermark", "ring", "ring/keyspace", "api/kv", "node/storage", "node/wire"}

func TestImportsKeepToTheTable(t *testing.T) {
	seen := map[string]bool{}
	used := map[string]bool{} // what the tables allow, and files do
	for file := range sources(t) {
		dir := path.Dir(file)
		test := strings.HasSuffix(file, "_test.go") || slices.Contains(testSupport, dir)
		r, ok := roomOf(dir)
		if !ok {
			t.Errorf("%s is in no room of the import table: give %s a row, or put the file where it belongs", file, dir)
			continue
		}
		seen[r.path] = true
		for _, imported := range imports(t, file) {
			if own, is := strings.CutPrefix(imported, "viakv/"); is {
				by, may := r.allowance(own, test)
				if !may {
					t.Errorf("%s imports %s: the room %s may import %v and %v", file, own, r.path, contracts, r.imports)
				}
				used[by] = true
				continue
			}
			if test {
				continue
			}
			home, may := homeOf(dir, imported)
			if !may {
				t.Errorf("%s imports %s, which only %v may", file, imported, homes[library(imported)])
			}
			used[home] = true
			if strings.HasPrefix(imported, "go.uber.org/zap") && slices.Contains(silent, dir) {
				t.Errorf("%s imports %s: this package returns what happened and leaves the log to its callers", file, imported)
			}
		}
	}
	for _, allowed := range allowances() {
		if !used[allowed] {
			t.Errorf("%s, and no file of the program does: take it off the table, or move it to the tests", allowed)
		}
	}
	for _, r := range rooms {
		if !seen[r.path] {
			t.Errorf("no file of %s was looked at: is this test run in its own directory?", r.path)
		}
	}
}

// unchecked are packages that start goroutines only in the tests of other packages, which look for
// leaks.
var unchecked = []string{"node/database/dbtest", "node/database/postgres/pgtest"}

// The tests of a package that starts goroutines, even if only in its tests, must fail when a
// goroutine outlives them.
func TestGoroutinesAreWatched(t *testing.T) {
	starts, watches := map[string]string{}, map[string]bool{}
	for file := range sources(t) {
		_, f, _ := parsed(t, file)
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				starts[path.Dir(file)] = file
			case *ast.CallExpr:
				f, _ := n.Fun.(*ast.SelectorExpr)
				switch {
				case f == nil: // not a method
				case f.Sel.Name == "Go" && len(n.Args) == 1: // of sync.WaitGroup and similar types
					starts[path.Dir(file)] = file
				case f.Sel.Name == "VerifyTestMain" || f.Sel.Name == "VerifyNoLeaks" || f.Sel.Name == "RunTests":
					watches[path.Dir(file)] = true
				}
			}
			return true
		})
	}
	if len(starts) < 10 {
		t.Errorf("goroutines were found in %d packages only", len(starts))
	}
	for _, dir := range unchecked {
		if starts[dir] == "" || watches[dir] {
			t.Errorf("%s starts no goroutine, or is checked: take it off the list", dir)
		}
	}
	for dir, file := range starts {
		if !watches[dir] && !slices.Contains(unchecked, dir) {
			t.Errorf("%s starts a goroutine, and no TestMain of %s looks for leaks: call goleak.VerifyTestMain, apitest.VerifyNoLeaks or viakvtest.RunTests", file, dir)
		}
	}
}

// core lists the rooms that know neither the HTTP API nor the command line.
var core = []string{"api/kv", "handoff", "node", "quorum", "ring"}

// surface matches an endpoint, a flag, and a parameter that is given a value.
var surface = regexp.MustCompile(`(^|[^\w.])/(set|get|rm|is|clear|getKeys|getValues|getAll|join|leave|plan|cluster|history|readyz|livez|metrics|version|openapi|console)\b|(^|[^\w-])--[a-z]|force=`)

// The core says what the case is. What to do about it, in the words of the HTTP API and the command
// line, is in api/advice.
func TestTheCoreDoesNotSpeakOfItsSurface(t *testing.T) {
	looked := 0
	for file := range sources(t) {
		dir := path.Dir(file)
		if strings.HasSuffix(file, "_test.go") || slices.Contains(testSupport, dir) || !slices.ContainsFunc(core, func(r string) bool { return within(dir, r) }) {
			continue
		}
		_, f, _ := parsed(t, file)
		ast.Inspect(f, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				looked++
				if surface.MatchString(strings.Trim(l.Value, "`\"")) {
					t.Errorf("%s says %s: say what is the case, and let api/advice say what to do", file, l.Value)
				}
			}
			_, isImport := n.(*ast.ImportSpec)
			return !isImport
		})
	}
	if looked < 500 {
		t.Errorf("%d texts were looked at", looked)
	}
}

func TestSurfaceIsKnown(t *testing.T) {
	for text, want := range map[string]bool{
		"look at /cluster":          true,
		"/leave?node=NAME":          true,
		"raise --max-memory there":  true,
		"repeat with force=true":    true,
		"a get/set of n/2+1 -- all": false,
		"viakv.set/join":            false,
	} {
		if got := surface.MatchString(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestTheTableToldTheCommonMistakes(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test     bool
	}{
		{"quorum", "node", false},
		{"quorum", "node/wire", false},
		{"handoff", "node/storage", false},
		{"api", "node", false},
		{"api", "node", true},
		{"api", "quorum", false},
		{"api/kv", "api", false},
		{"api/kv", "api/kv/kvtest", false},
		{"node/database/postgres", "node/database/postgres/pgtest", false},
		{"node/storage", "quorum", false},
		{"quorum/replica", "quorum", false},
		{"quorum", "quorum/replica/replicatest", false},
		{"node/storage", "node", false},
		{"node/transport/tcp", "node/topology", false},
		{"node", "api", false},
		{"node", "node/database/postgres", false},
		{"node/database/postgres", "node", false},
		{"bench", "node", false},
		{"node", "cmd/viakv/serve", false},
		{"cmd/viakv/serve", "cmd/viakv/cli", false},
		{"cmd/viakv/cli", "node", false},
		{"cmd/viakv/cli", "cmd/viakv/viakvtest", false},
		{"cmd/bench", "node", false},
	} {
		r, ok := roomOf(c.from)
		if _, may := r.allowance(c.to, c.test); !ok || may {
			t.Errorf("the table lets %s import %s", c.from, c.to)
		}
	}
}

// roomOf returns the row of a directory: the longest one that the directory lies in.
func roomOf(dir string) (found room, ok bool) {
	for _, r := range rooms {
		if within(dir, r.path) && (!ok || len(r.path) > len(found.path)) {
			found, ok = r, true
		}
	}
	return found, ok
}

// allowance returns which of the allowances lets a file of the room import a package. Empty: the
// file needs none.
func (r room) allowance(to string, test bool) (by string, may bool) {
	if slices.Contains(testSupport, to) {
		return "tests may import " + to, test
	}
	if target, _ := roomOf(to); target.path == r.path {
		return "", true
	}
	covers := func(a string) bool { return to == a || strings.HasSuffix(a, "/") && strings.HasPrefix(to, a) }
	imports, tests := slices.IndexFunc(r.imports, covers), slices.IndexFunc(r.tests, covers)
	switch {
	case imports >= 0 && !test:
		return r.path + " may import " + r.imports[imports], true
	// A leaf may import only the leaves that its row names.
	case imports >= 0, slices.Contains(contracts, to) && (test || !slices.Contains(contracts, r.path)):
		return "", true
	case tests >= 0 && test:
		return "tests of " + r.path + " may import " + r.tests[tests], true
	}
	return "", false
}

// allowances returns all allowances of the tables.
func allowances() (all []string) {
	for _, r := range rooms {
		for _, to := range r.imports {
			all = append(all, r.path+" may import "+to)
		}
		for _, to := range r.tests {
			all = append(all, "tests of "+r.path+" may import "+to)
		}
	}
	for _, to := range testSupport {
		all = append(all, "tests may import "+to)
	}
	for library, dirs := range homes {
		for _, dir := range dirs {
			all = append(all, dir+" may import "+library)
		}
	}
	return all
}

func within(dir, parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }

// library returns the key of homes that the import path lies in.
func library(imported string) string {
	for l := range homes {
		if within(imported, l) {
			return l
		}
	}
	return ""
}

// homeOf returns which of the allowances lets a package use a library; empty: it needs none.
func homeOf(dir, imported string) (by string, may bool) {
	l := library(imported)
	for _, home := range homes[l] {
		if within(dir, home) {
			return home + " may import " + l, true
		}
	}
	return "", l == ""
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	_, f, _ := parsed(t, file)
	var out []string
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// sources yields the slash-separated paths of the module's Go files. The other modules, which only
// tests use, are left out.
func sources(t *testing.T) func(yield func(string) bool) {
	t.Helper()
	return func(yield func(string) bool) {
		root, found, whole := os.DirFS(module), 0, true
		err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || p == "bin" || p == "out"):
				return fs.SkipDir
			case d.IsDir() && p != ".":
				if _, err := fs.Stat(root, path.Join(p, "go.mod")); err == nil {
					return fs.SkipDir
				}
			case strings.HasSuffix(p, ".go"):
				found++
				if whole = yield(p); !whole {
					return fs.SkipAll
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if whole && found < 500 {
			t.Errorf("found %d Go files only: is this test run in its own directory?", found)
		}
	}
}

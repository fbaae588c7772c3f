package docs

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"viakv/cmd/viakv/viakvtest"
)

// notPasted are the blocks that this test cannot run. TestDocumentedFlagsExist checks their
// commands and flags nevertheless.
var notPasted = []struct{ document, contains, reason string }{
	{"README.md", "make test", "make run is what this test stands on, as viakv dev at other ports; make test is this test"},
	{"README.md", "docker compose", "needs Docker: make test-compose"},
	{"README.md", "10.0.0.1", "needs three machines; docs/tutorial.md does the same on one"},
	{"docs/bench.md", "bench load", "minutes of measurement; cmd/bench's own tests run each command"},
	{"docs/bench.md", "build-against", "a module of its own, with dependencies to fetch"},
	{"docs/cli.md", "kv.example.com", "an address of the reader's"},
	{"docs/comparison.md", "build-against", "needs other stores; a module of its own, with dependencies to fetch"},
	{"docs/performance.md", "build-against", "measures for minutes; a module of its own, with dependencies to fetch"},
	{"docs/databases.md", "--store-file /run/secrets/store", "needs a database: make test-db"},
	{"docs/databases.md", "--profile cockroach", "needs Docker: make test-compose"},
	{"docs/databases.md", "createdb --owner", "needs PostgreSQL: make test-db"},
	{"docs/operations.md", "--profile scale", "needs Docker: make test-compose"},
	{"docs/security.md", "openssl rand", "needs openssl"},
	{"docs/security.md", "0.0.0.0:8443", "certificates of the reader's; docs/tutorial.md does the same with those of viakv certs"},
	{"docs/testing.md", "-sim.seed", "runs for minutes; another package's test"},
	{"docs/tutorial.md", "make build", "builds what this test's own binary stands for"},
}

// The documents' commands run and give the answers that the documents show. A document's blocks run
// one after another in one shell, as in a reader's terminal: what a block exports holds in the next
// one. Three nodes of viakv dev run meanwhile, unless the blocks start nodes themselves. Ports are
// replaced by free ports.
func TestPastedCommandsWork(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs every command of the documentation")
	}
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the documentation's commands need %s", tool)
		}
	}
	matched := make([]bool, len(notPasted))
	ran := 0
	for _, d := range documents(t) {
		var run []block
		for _, b := range d.blocks {
			if !b.isShell() {
				continue
			}
			skip := false
			for i, n := range notPasted {
				if n.document == d.path && strings.Contains(b.text, n.contains) {
					skip, matched[i] = true, true
				}
			}
			if !skip {
				run = append(run, b)
			}
		}
		if len(run) == 0 {
			continue
		}
		ran += len(run)
		t.Run(d.path, func(t *testing.T) { newPaster(t, run).paste(d.path, run) })
	}
	for i, n := range notPasted {
		if !matched[i] {
			t.Errorf("%s has no block with %q any more (%s): take it off the list", n.document, n.contains, n.reason)
		}
	}
	if ran < 10 {
		t.Errorf("ran %d blocks only", ran)
	}
}

// paster runs the blocks of one document.
type paster struct {
	t *testing.T
	// The directory of the blocks, and one for what the shell is given.
	dir, scripts string

	env    []string
	ports  *strings.Replacer
	dev    string // flags that give viakv dev the ports
	nodes  *viakvtest.Process
	opened []*viakvtest.Process

	shell io.Writer // the standard input of the shell
	ran   int       // scripts that it was given
}

// The ports of the first nodes in the documentation.
const documentedHTTP, documentedPeer, documentedTLS, documentedTLSPeer = 8081, 9081, 8441, 9441

func newPaster(t *testing.T, blocks []block) *paster {
	t.Helper()
	bin := t.TempDir()
	viakvtest.SelfAs(t, bin)
	httpPort, peerPort := viakvtest.FreePorts(t, 3)
	tlsPort, tlsPeerPort := viakvtest.FreePorts(t, 3)
	var pairs []string
	for i := range 3 {
		for documented, chosen := range map[int]int{documentedHTTP: httpPort, documentedPeer: peerPort, documentedTLS: tlsPort, documentedTLSPeer: tlsPeerPort} {
			pairs = append(pairs, fmt.Sprintf("127.0.0.1:%d", documented+i), viakvtest.Loopback(chosen+i))
		}
	}
	p := &paster{
		t: t, dir: t.TempDir(), scripts: t.TempDir(), ports: strings.NewReplacer(pairs...),
		dev: fmt.Sprintf(" --http-port %d --peer-port %d", httpPort, peerPort),
		env: append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
			"VIAKV_ENDPOINTS="+viakvtest.Loopback(httpPort), "CURL_HOME="+bin),
	}
	// The documentation shows commands that work, so a status of 400 or more fails a command.
	if err := os.WriteFile(filepath.Join(bin, ".curlrc"), []byte("fail\nsilent\nshow-error\nretry = 20\nretry-delay = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.startShell()
	own := false
	for _, b := range blocks {
		own = own || strings.Contains(b.text, "viakv dev")
	}
	if !own {
		p.nodes = p.open("viakv dev")
		p.nodes.Line("Ctrl-C stops everything")
	}
	return p
}

func (p *paster) paste(name string, blocks []block) {
	for _, b := range blocks {
		where := fmt.Sprintf("%s:%d", name, b.line)
		switch {
		case b.stays:
			p.stay(b.text)
		case b.language == "console":
			p.converse(where, b.text)
		default:
			p.script(where, b.text)
		}
		if p.t.Failed() {
			return
		}
	}
}

var (
	devCall  = regexp.MustCompile(`\bviakv dev\b`)
	pgrep    = regexp.MustCompile(`\$\(pgrep -f '([^']+)'\)`)
	nodeLine = regexp.MustCompile(`(node-[a-z]) .*process (\d+)`)
)

// rewrite replaces what differs in this test: ports, the place of the binary, and pgrep, which
// would find other clusters on this machine as well.
func (p *paster) rewrite(text string) string {
	text = p.ports.Replace(strings.ReplaceAll(text, "bin/viakv", "viakv"))
	text = devCall.ReplaceAllString(text, "viakv dev"+p.dev)
	return pgrep.ReplaceAllStringFunc(text, func(call string) string {
		pattern := pgrep.FindStringSubmatch(call)[1]
		for _, m := range nodeLine.FindAllStringSubmatch(strings.Join(p.nodes.Lines(), "\n"), -1) {
			pid, err := strconv.Atoi(m[2])
			if err != nil {
				p.t.Fatal(err)
			}
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err != nil && strings.HasSuffix(pattern, m[1]) || strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), pattern) {
				return m[2]
			}
		}
		p.t.Fatalf("no node's command line has %q", pattern)
		return ""
	})
}

// startShell starts the shell that the blocks are pasted into.
func (p *paster) startShell() {
	p.t.Helper()
	cmd := exec.Command("bash", "--noprofile", "--norc")
	cmd.Dir, cmd.Env = p.dir, p.env
	stdin, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	viakvtest.Launch(p.t, cmd)
	p.shell = stdin
}

// run runs a script in the shell, and returns its output and its exit status. A strict script ends
// with its first command that fails, and the shell with it.
func (p *paster) run(script string, strict bool) (out string, status int) {
	p.t.Helper()
	if strings.Contains(script, "make ") || strings.Contains(script, "viakv dev") {
		p.t.Fatalf("a block that does not end, or runs these tests again; mark it as one that stays, or put it on the list: %s", script)
	}
	p.ran++
	// The files lie outside the directory that the blocks see.
	file := filepath.Join(p.scripts, fmt.Sprint(p.ran))
	if err := os.WriteFile(file, []byte(script+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	options := ""
	if strict {
		options = "set -euo pipefail; "
	}
	// The script is read from a file, so that its commands find nothing on the standard input.
	_, err := fmt.Fprintf(p.shell, "pasted=%s; trap 'echo $? > \"$pasted.status\"' EXIT; %s. \"$pasted\" < /dev/null > \"$pasted.out\" 2>&1; "+
		"status=$?; set +eu +o pipefail; echo $status > \"$pasted.status\"\n", quote(file), options)
	if err != nil {
		p.t.Fatal(err)
	}
	viakvtest.Await(p.t, "the end of "+script, func() bool {
		said, _ := os.ReadFile(file + ".status") // the file is there once the script has ended
		_, err := fmt.Sscanf(string(said), "%d\n", &status)
		return err == nil
	})
	written, err := os.ReadFile(file + ".out")
	if err != nil {
		p.t.Fatal(err)
	}
	return string(written), status
}

// open starts a command that keeps its terminal. The shell is replaced by the command, so that the
// command gets the signals.
func (p *paster) open(line string) *viakvtest.Process {
	cmd := exec.Command("bash", "-c", "exec "+p.rewrite(line))
	cmd.Dir, cmd.Env = p.dir, p.env
	opened := viakvtest.Launch(p.t, cmd)
	p.opened = append(p.opened, opened)
	// This runs before Launch's own clean-up, because dev must stop its nodes.
	p.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		opened.Exit()
	})
	return opened
}

func (p *paster) stay(text string) {
	for _, line := range commands(text) {
		opened := p.open(line)
		if strings.Contains(line, "viakv dev") {
			p.nodes = opened
			opened.Line("Ctrl-C stops everything")
			continue
		}
		opened.Line("serving")
	}
}

// commands returns the commands of a block: its lines without comments. A line that ends with a
// backslash is joined with the next one.
func commands(text string) (lines []string) {
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// shown matches a command followed by a comment that shows its answer.
var shown = regexp.MustCompile(`(?m)^(.*\S)\s+#.*→ (.+)$`)

// script runs a block of sh, which must succeed. A comment with an arrow shows what its line
// answers.
func (p *paster) script(where, text string) {
	p.t.Helper()
	text = shown.ReplaceAllStringFunc(p.rewrite(text), func(line string) string {
		m := shown.FindStringSubmatch(line)
		return fmt.Sprintf("answer=$(%s)\nwant %s \"$answer\"", m[1], quote(strings.TrimSpace(m[2])))
	})
	const want = "want() { [ \"$1\" = \"$2\" ] || { echo \"got: $2\"; echo \"the document shows: $1\"; exit 9; }; }\n"
	if out, status := p.run(want+text, true); status != 0 {
		p.t.Errorf("%s: exit status %d\n%s\n%s", where, status, text, out)
	}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// looks matches commands that change nothing and show a state that takes a moment to settle, such
// as who can be reached. They are repeated.
var looks = regexp.MustCompile(`^viakv (status|events|member (plan|list))`)

// converse runs a block of console: each command after a dollar, with the lines that it must
// answer.
func (p *paster) converse(where, text string) {
	p.t.Helper()
	for _, part := range strings.Split("\n"+text, "\n$ ")[1:] {
		command, want, _ := strings.Cut(part, "\n")
		script := p.rewrite(command)
		var out, unlike string
		for deadline := time.Now().Add(viakvtest.Patience); ; time.Sleep(50 * time.Millisecond) {
			// The exit status is not checked here; where it matters, the document shows it.
			out, _ = p.run(script, false)
			unlike = difference(p.ports.Replace(want), out)
			if unlike == "" || !looks.MatchString(command) || time.Now().After(deadline) {
				break
			}
		}
		if unlike != "" {
			p.t.Errorf("%s: %s\n%s\nanswered:\n%s\nthe document shows:\n%s", where, script, unlike, out, want)
			return
		}
	}
}

var (
	number = regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)
	hexID  = regexp.MustCompile(`^[0-9a-f]{16},?$`)
	figure = regexp.MustCompile(`^(-|[0-9.]+(%|ms|µs|s|m)?)$`)
)

// difference compares an answer with what is shown, line by line in any order. Numbers inside
// longer lines, times and identifiers may differ.
func difference(want, got string) string {
	lines := strings.Split(strings.TrimRight(got, "\n"), "\n")
	for w := range strings.SplitSeq(strings.TrimRight(want, "\n"), "\n") {
		pattern := linePattern(w)
		found := false
		for i, l := range lines {
			if pattern.MatchString(strings.TrimSpace(l)) {
				lines, found = append(lines[:i:i], lines[i+1:]...), true
				break
			}
		}
		if !found {
			return "missing: " + w
		}
	}
	for _, l := range lines {
		if strings.TrimSpace(l) != "" {
			return "not shown: " + l
		}
	}
	return ""
}

// linePattern returns an expression that matches a line of an answer. A line of one word, for
// example a status, must be that word.
func linePattern(line string) *regexp.Regexp {
	words := strings.Fields(line)
	var parts []string
	for _, w := range words {
		switch {
		case len(words) == 1:
			parts = append(parts, regexp.QuoteMeta(w))
		case hexID.MatchString(w):
			parts = append(parts, `[0-9a-f]{16},?`)
		case figure.MatchString(w):
			parts = append(parts, `\S+`)
		default:
			parts = append(parts, number.ReplaceAllString(regexp.QuoteMeta(w), `[0-9.]+`))
		}
	}
	return regexp.MustCompile(`^` + strings.Join(parts, `\s+`) + `$`)
}

func TestAnswersAreCompared(t *testing.T) {
	for _, c := range []struct {
		want, got string
		same      bool
	}{
		{"stored", "stored\n", true},
		{"stored", "removed\n", false},
		{"1", "2\n", false}, // a status
		{"exported 3 pairs", "exported 17 pairs\n", true},
		{"exported 3 pairs", "exported 3 pairs\nwarning\n", false},
		{"a\tb c\nd\te f", "d\te f\na\tb c\n", true},
		{"node-b  active  yes  0  -", "node-b  active  yes  0  1.2ms\n", true},
		{"node-b  active  yes  0  -", "node-b  vacant  yes  0  -\n", false},
		{"cluster c5bbdd629999d35f, epoch 1", "cluster 0123456789abcdef, epoch 12\n", true},
	} {
		if unlike := difference(c.want, c.got); (unlike == "") != c.same {
			t.Errorf("%q beside %q: %q, want alike %v", c.got, c.want, unlike, c.same)
		}
	}
}

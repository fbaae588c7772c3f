package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"viakv/api/client"
	"viakv/api/kv"
	"viakv/cmd/viakv/viakvtest"
)

// result is what a command has printed, and its exit code.
type result struct {
	code int
	// The output, the messages, and all that a user sees, with the error that main prints.
	out, err, all string
}

// cli runs a command line in this process.
func cli(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, messages bytes.Buffer
	cmd := root("test")
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&messages)
	r := result{}
	if err := cmd.Execute(); err != nil {
		r.code, r.all = exitCode(err), err.Error()
	}
	r.out, r.err = out.String(), messages.String()
	r.all = r.out + r.err + r.all
	return r
}

// wants compares a command's exit code, and checks that all its output has a certain part.
func wants(t *testing.T, code int, says string, r result) result {
	t.Helper()
	if r.code != code || !strings.Contains(r.all, says) {
		t.Errorf("exit code %d, want %d and %q in:\n%s", r.code, code, says, r.all)
	}
	return r
}

// at adds the endpoint that a command asks.
func at(address string, args ...string) []string { return append(args, "--endpoints", address) }

// ask runs a command line that asks an endpoint.
func ask(t *testing.T, endpoint string, args ...string) result {
	t.Helper()
	return cli(t, "", at(endpoint, args...)...)
}

func TestSetGetIsRemove(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	wants(t, 0, "stored\n", ask(t, a, "set", "color", "green"))
	if r := wants(t, 0, "", ask(t, a, "get", "color")); r.out != "green\n" {
		t.Errorf("got %q", r.out)
	}
	wants(t, 0, "yes\n", ask(t, a, "is", "color"))
	var e client.Entry
	r := ask(t, a, "get", "color", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &e); err != nil || e.Key != "color" || e.Value != "green" || e.Version == "" {
		t.Errorf("%v: %s", err, r.out)
	}
	wants(t, 0, `"exists": true`, ask(t, a, "is", "color", "-o", "json"))
	wants(t, 0, "removed\n", ask(t, a, "rm", "color"))
	wants(t, exitMissing, "No such key", ask(t, a, "rm", "color"))
	wants(t, exitMissing, "No such key", ask(t, a, "get", "color"))
	wants(t, exitMissing, "no such key: color", ask(t, a, "is", "color"))
	wants(t, exitMissing, `"exists": false`, ask(t, a, "is", "color", "-o", "json"))
	wants(t, 0, "stored\n", cli(t, "two\nlines\n", at(a, "set", "poem")...))
	if r := ask(t, a, "get", "poem"); r.out != "two\nlines\n\n" {
		t.Errorf("got %q: want what was on standard input, and one line end", r.out)
	}
	wants(t, 0, `"removed": true`, ask(t, a, "rm", "poem", "-o", "json"))
}

// Of several keys, get prints those that have a value, in the order of the arguments, and names the
// others.
func TestGetOfSeveralKeys(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	wants(t, 0, "", ask(t, a, "set", "color", "green"))
	wants(t, 0, "", ask(t, a, "set", "two\nlines", "a\tb"))
	if r := wants(t, 0, "", ask(t, a, "get", "two\nlines", "color", "color")); r.out != "\"two\\nlines\"\t\"a\\tb\"\ncolor\tgreen\ncolor\tgreen\n" {
		t.Errorf("%q", r.out)
	}
	if r := wants(t, 0, "", ask(t, a, "get", "color", "two\nlines", "-o", "json")); r.out != `{"key":"color","value":"green"}`+"\n"+`{"key":"two\nlines","value":"a\tb"}`+"\n" {
		t.Errorf("%q", r.out)
	}
	r := wants(t, exitMissing, "no such key: size, \"a\\nb\"", ask(t, a, "get", "size", "color", "a\nb"))
	if !strings.HasPrefix(r.out, "color\tgreen\n") {
		t.Errorf("%q", r.out)
	}
	wants(t, exitUsage, "keys[1]: ", ask(t, a, "get", "a", ""))
}

// oddKeys are keys that faulty quoting, escaping or counting would get wrong.
var oddKeys = []string{
	" ", "a b", "\x00", "a\x00b", "🥝", "👩‍👩‍👧", "\t\r\n", `"`, `\ufffd`, "\uFFFD", "%2F/+&=?#", "é", "e\u0301", "\u2028", "<script>", "-", "--yes",
	strings.Repeat("🥝", kv.MaxKeyCharacters),
}

func TestOddKeysAndValuesPassUnchanged(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	for _, k := range oddKeys {
		wants(t, 0, "stored", cli(t, "", append(at(a, "set"), "--", k, "value of "+k)...))
		if r := cli(t, "", append(at(a, "get"), "--", k)...); r.out != "value of "+k+"\n" {
			t.Errorf("%q: got %q", k, r.out)
		}
	}
	wants(t, 0, "stored", ask(t, a, "set", "empty", ""))
	if r := ask(t, a, "get", "empty"); r.code != 0 || r.out != "\n" {
		t.Errorf("the empty value: %+v", r)
	}
	for _, list := range []string{"keys", "values", "all"} {
		r := ask(t, a, list)
		if n := strings.Count(r.out, "\n"); n != len(oddKeys)+1 || !utf8.ValidString(r.out) || strings.ContainsAny(r.out, "\x00\r") {
			t.Errorf("%s: %d lines, want one for each of %d pairs and nothing that acts on a terminal:\n%q", list, n, len(oddKeys)+1, r.out)
		}
	}
	r := ask(t, a, "keys", "-o", "json")
	seen := map[string]bool{}
	for d := json.NewDecoder(strings.NewReader(r.out)); ; {
		var k string
		if err := d.Decode(&k); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen[k] = true
	}
	for _, k := range oddKeys {
		if !seen[k] {
			t.Errorf("%q is not listed", k)
		}
	}
	if r := ask(t, a, "all", "--prefix", "a", "-o", "json"); strings.Count(r.out, `{"key":"a`) != 2 || strings.Count(r.out, "\n") != 2 {
		t.Errorf("keys that begin with a: %s", r.out)
	}
	if r := ask(t, a, "values", "--limit", "3"); r.code != 0 || strings.Count(r.out, "\n") != 3 {
		t.Errorf("a limit of 3: %q", r.out)
	}
}

func TestClearAsks(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	wants(t, 0, "", ask(t, a, "set", "color", "green"))
	wants(t, exitUsage, "repeat it with --yes", cli(t, "yes\n", at(a, "clear")...))
	wants(t, 0, "green", ask(t, a, "get", "color"))
	wants(t, 0, "cleared", ask(t, a, "clear", "--yes"))
	wants(t, exitMissing, "", ask(t, a, "get", "color"))
	wants(t, 0, `"cleared": true`, ask(t, a, "clear", "--yes", "-o", "json"))
	for answer, want := range map[string]bool{"yes\n": true, " yes \r\n": true, "yes": true, "y\n": false, "no\nyes\n": false, "\n": false, "": false} {
		var shown bytes.Buffer
		err := confirmed(strings.NewReader(answer), &shown, "Sure?")
		if (err == nil) != want || err != nil && exitCode(err) != exitRefused || !strings.HasPrefix(shown.String(), "Sure?") {
			t.Errorf("%q: %v after %q", answer, err, &shown)
		}
	}
}

func TestTokensDecideWhatACommandMayDo(t *testing.T) {
	const read, admin = "reading-0123456789", "admin-0123456789ab"
	dir := t.TempDir()
	file, mine := filepath.Join(dir, "tokens"), filepath.Join(dir, "mine")
	for name, content := range map[string]string{file: "read " + read + "\nadmin " + admin + "\n", mine: admin + "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := serveWithTokens(t, file)
	wants(t, exitDenied, "give a token", ask(t, a, "get", "color"))
	wants(t, exitDenied, "not known", ask(t, a, "get", "color", "--token", "0123456789abcdef"))
	wants(t, exitMissing, "", ask(t, a, "get", "color", "--token", read))
	wants(t, exitDenied, "needs the role write", ask(t, a, "set", "color", "green", "--token", read))
	wants(t, exitDenied, "needs the role admin", ask(t, a, "clear", "--yes", "--token", read))
	wants(t, exitDenied, "", ask(t, a, "all"))
	wants(t, exitDenied, "", ask(t, a, "status"))
	wants(t, 0, "stored", ask(t, a, "set", "color", "green", "--token-file", mine))
	wants(t, exitUsage, "one of them", ask(t, a, "get", "color", "--token-file", mine, "--token", read))
	t.Setenv("VIAKV_TOKEN", read)
	t.Setenv("VIAKV_ENDPOINTS", a)
	wants(t, 0, "green", cli(t, "", "get", "color"))
}

// serveWithTokens runs a server on which nothing but the probes works without a token. So it waits
// only for readiness.
func serveWithTokens(t *testing.T, tokens string) string {
	t.Helper()
	_, address := viakvtest.ServeOne(t, "--tokens", tokens)
	return address
}

func TestNobodyThere(t *testing.T) {
	nobody := viakvtest.FreeAddress(t)
	for _, args := range [][]string{
		{"get", "k"}, {"set", "k", "v"}, {"rm", "k"}, {"is", "k"}, {"clear", "--yes"}, {"keys"}, {"values"}, {"all"}, {"export"}, {"import"},
		{"status"}, {"events"}, {"member", "list"}, {"member", "plan", "join"}, {"member", "leave", "node-b"}, {"member", "join", "127.0.0.1:1"},
		{"member", "reads", "lease"},
	} {
		wants(t, exitUnavailable, "--endpoints", ask(t, nobody, args...))
	}
	a, _ := viakvtest.Serve(t, "node-a")
	wants(t, 0, "stored", ask(t, nobody+","+a, "set", "k", "v"))
}

// swallow starts a server that answers nothing: it reads requests and closes the connection.
func swallow(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetReadDeadline(time.Now().Add(viakvtest.Patience))
			_, _ = c.Read(make([]byte, 4096))
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func TestAWriteThatIsNotAnsweredHasAnUnknownOutcome(t *testing.T) {
	silent := swallow(t)
	for _, args := range [][]string{{"set", "k", "v"}, {"rm", "k"}, {"clear", "--yes"}, {"member", "leave", "node-b"}, {"member", "reads", "quorum"}} {
		wants(t, exitUnknown, "outcome unknown", ask(t, silent, args...))
	}
	wants(t, exitUnavailable, "", ask(t, silent, "get", "k"))
}

func TestCommandLinesOfTheClientThatCannotBeUnderstood(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	missing := filepath.Join(t.TempDir(), "missing")
	for _, args := range [][]string{
		{"get"}, {"set"}, {"set", "a", "b", "c"}, {"rm"}, {"is"}, {"clear", "now"}, {"keys", "a"},
		{"get", ""}, {"set", "", "v"}, {"set", "k", strings.Repeat("v", kv.MaxValueCharacters+1)}, {"get", strings.Repeat("k", kv.MaxKeyCharacters+1)},
		{"set", "k", "\xff"}, {"get", "\xff"},
		{"get", "k", "-o", "xml"}, {"get", "k", "--timeout", "0"}, {"get", "k", "--timeout", "soon"}, {"get", "k", "--bogus"},
		{"get", "k", "--tls-ca", missing}, {"get", "k", "--tls-cert", missing}, {"get", "k", "--token-file", missing}, {"get", "k", "--token", "a b"},
		{"import", missing}, {"import", "--from-line", "0"}, {"import", "a", "b"}, {"export", "a", "b"},
		{"member", "bogus"}, {"member", "list", "a"}, {"member", "join"}, {"member", "join", "nowhere"}, {"member", "plan"}, {"member", "plan", "leave"},
		{"member", "plan", "join", "node-b"}, {"member", "plan", "bogus", "node-b"}, {"member", "leave", "--force", "node-a"}, {"status", "a"},
		{"member", "reads"}, {"member", "reads", "Lease"}, {"member", "reads", "lease", "quorum"},
		{"events", "5"}, {"events", "-n", "0"}, {"events", "-n", "201"},
		{"completion", "tcsh"},
	} {
		if args[0] != "completion" && (args[0] != "member" || args[1] != "bogus") {
			args = at(a, args...)
		}
		if r := cli(t, "", args...); r.code != exitUsage && args[0] != "completion" {
			t.Errorf("%q: exit code %d, want %d: %s", args, r.code, exitUsage, r.all)
		}
	}
	wants(t, exitUsage, "endpoint", ask(t, "ftp://127.0.0.1:1", "get", "k"))
	wants(t, exitUsage, "--endpoints", cli(t, "", "member", "leave"))
	wants(t, exitUsage, "--endpoints", cli(t, "", "member", "join", "127.0.0.1:1"))
}

func TestExitStatusOfTheProcess(t *testing.T) {
	nobody := viakvtest.FreeAddress(t)
	p := viakvtest.Start(t, "get", "color", "--endpoints", nobody)
	p.Exits(exitUnavailable)
	p.Line("viakv: " + nobody)
	viakvtest.Start(t, "get").Exits(exitUsage)
}

func TestCompletionKnowsTheCommands(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		// The command writes to the standard output of the moment when it was made, so it needs a
		// process.
		p := viakvtest.Start(t, "completion", shell)
		p.Exits(0)
		p.Line("viakv")
	}
	wants(t, 0, "member", cli(t, "", "__complete", "mem"))
	wants(t, 0, "events", cli(t, "", "__complete", "ev"))
}

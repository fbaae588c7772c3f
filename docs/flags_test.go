package docs

import (
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// binaries are the programs that the documentation names, and the output of their --help.
type binaries struct {
	t     *testing.T
	paths map[string]string
	helps map[string]string
}

func newBinaries(t *testing.T) *binaries {
	t.Helper()
	dir := t.TempDir()
	bench := filepath.Join(dir, "bench")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", bench, "./cmd/bench")
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return &binaries{t: t, paths: map[string]string{"viakv": viakvtest.SelfAs(t, dir), "bench": bench}, helps: map[string]string{}}
}

// help returns the help of a command, which is given by its words: "viakv", "member", "list".
func (b *binaries) help(words ...string) string {
	b.t.Helper()
	name := strings.Join(words, " ")
	if text, ok := b.helps[name]; ok {
		return text
	}
	text, err := exec.CommandContext(b.t.Context(), b.paths[words[0]], append(slices.Clone(words[1:]), "--help")...).Output()
	if err != nil {
		b.t.Fatalf("%s --help: %v", name, err)
	}
	b.helps[name] = string(text)
	return string(text)
}

var (
	subcommand = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*) {2,}`)
	flagLine   = regexp.MustCompile(`(?m)^ +(?:(-[a-zA-Z]), )?(--[a-z][a-z0-9-]*)`)
)

// commands returns the names of the commands below a command.
func (b *binaries) commands(words ...string) (names []string) {
	above, _, _ := strings.Cut(b.help(words...), "\nFlags:")
	if !strings.Contains(above, "[command]") {
		return nil
	}
	for _, m := range subcommand.FindAllStringSubmatch(above, -1) {
		names = append(names, m[1])
	}
	return names
}

func (b *binaries) flags(words ...string) (names []string) {
	_, below, _ := strings.Cut(b.help(words...), "\nFlags:")
	for _, m := range flagLine.FindAllStringSubmatch(below, -1) {
		names = append(names, m[1], m[2])
	}
	return names
}

// allFlags returns the flags of all commands of all binaries.
func (b *binaries) allFlags() map[string]bool {
	all := map[string]bool{}
	var visit func(words ...string)
	visit = func(words ...string) {
		for _, f := range b.flags(words...) {
			all[f] = true
		}
		for _, c := range b.commands(words...) {
			visit(append(slices.Clone(words), c)...)
		}
	}
	visit("viakv")
	visit("bench")
	return all
}

var (
	quoted   = regexp.MustCompile(`'[^']*'|"[^"]*"`)
	plain    = regexp.MustCompile(`^[a-z][a-z-]*$`)
	flagWord = regexp.MustCompile(`^-{1,2}[a-zA-Z][a-z0-9-]*`)
)

// checkLine compares each call of a binary in a line of shell with the help of the binary.
func (b *binaries) checkLine(where, line string) {
	b.t.Helper()
	words := strings.Fields(quoted.ReplaceAllString(line, "'…'"))
	for i := 0; i < len(words); i++ {
		if words[i] == "#" {
			return
		}
		name := path.Base(words[i])
		if b.paths[name] == "" || i > 0 && (words[i-1] == "createdb" || words[i-1] == "--owner" || words[i-1] == "--pwprompt") {
			continue
		}
		command := []string{name}
		descending := true
		for i++; i < len(words) && !strings.ContainsAny(words[i][:1], "|&;#>)"); i++ {
			word := strings.TrimRight(words[i], ";,)`")
			if word == "--" {
				break
			}
			if flag := flagWord.FindString(word); flag != "" {
				if !slices.Contains(b.flags(command...), flag) {
					b.t.Errorf("%s: %s has no flag %s: %s", where, strings.Join(command, " "), flag, line)
				}
				descending = descending && strings.Contains(word, "=")
			} else if below := b.commands(command...); descending && len(below) > 0 && plain.MatchString(word) {
				if !slices.Contains(below, word) {
					b.t.Errorf("%s: %s has no command %s: %s", where, strings.Join(command, " "), word, line)
					return
				}
				command = append(command, word)
			}
		}
	}
}

var (
	variable   = regexp.MustCompile(`\bVIAKV_[A-Z_]+\b`)
	makeTarget = regexp.MustCompile("(?m)`make ([a-z][a-z-]*)")
	makeCall   = regexp.MustCompile(`(?m)^make ([a-z][a-z-]*)`)
)

// The commands, flags, variables and make targets that the documentation names must exist, in
// blocks that cannot be run here as well.
func TestDocumentedFlagsExist(t *testing.T) {
	if testing.Short() {
		t.Skip("asks each command for its flags, a hundred times")
	}
	b := newBinaries(t)
	flags := b.allFlags()
	// The text of the files whose variables are not flags.
	elsewhere := ""
	for _, file := range []string{"docker-compose.yml", "Makefile", "node/database/mongodb/mongotest/server.go", "quorum/version/rule/broken.go"} {
		elsewhere += string(viakvtest.Shipped(t, file))
	}
	makefile := string(viakvtest.Shipped(t, "Makefile"))
	calls := 0
	for _, d := range documents(t) {
		for _, span := range d.spans() {
			first, _, _ := strings.Cut(span, " ")
			switch {
			case b.paths[path.Base(first)] != "" && strings.Contains(span, " "):
				calls++
				b.checkLine(d.path, span)
			case strings.HasPrefix(first, "--"):
				for flag := range strings.FieldsSeq(span) {
					// The flag --compressed is curl's.
					if flag = flagWord.FindString(flag); strings.HasPrefix(flag, "--") && !flags[flag] && flag != "--compressed" {
						t.Errorf("%s: no command has the flag %s", d.path, flag)
					}
				}
			}
		}
		for _, block := range d.blocks {
			if !block.isShell() {
				continue
			}
			for line := range strings.SplitSeq(strings.ReplaceAll(block.text, "\\\n", " "), "\n") {
				if command, is := strings.CutPrefix(line, "$ "); is || block.language == "sh" {
					calls++
					b.checkLine(d.path, command)
				}
			}
		}
		for _, name := range variable.FindAllString(d.text, -1) {
			flag := "--" + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "VIAKV_"), "_", "-"))
			if !flags[flag] && !strings.Contains(elsewhere, name) {
				t.Errorf("%s: nothing reads %s", d.path, name)
			}
		}
		targets := makeTarget.FindAllStringSubmatch(d.prose, -1)
		for _, block := range d.blocks {
			targets = append(targets, makeCall.FindAllStringSubmatch(block.text, -1)...)
		}
		for _, m := range targets {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s: make has no target %s", d.path, m[1])
			}
		}
	}
	if calls < 50 {
		t.Errorf("found %d calls only; are the patterns still right?", calls)
	}
}

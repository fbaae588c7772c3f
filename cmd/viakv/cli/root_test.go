package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"viakv/cmd/cliutil"
	"viakv/cmd/viakv/serve"
)

// TestEveryFlagHasHelpAndReadsTheEnvironment checks each command. A function of the root reads
// flags from the environment; a command with a function of its own would replace it.
func TestEveryFlagHasHelpAndReadsTheEnvironment(t *testing.T) {
	flags := 0
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		if c.HasParent() && (c.PersistentPreRun != nil || c.PersistentPreRunE != nil) {
			t.Errorf("%s reads nothing from the environment", c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if flags++; f.Usage == "" {
				t.Errorf("%s: --%s has no help", c.CommandPath(), f.Name)
			}
		})
		for _, below := range c.Commands() {
			check(below)
		}
	}
	check(root("test"))
	if flags < 100 {
		t.Errorf("%d flags were looked at", flags)
	}
	t.Setenv("VIAKV_HTTP", "nowhere:")
	wants(t, exitUsage, `"nowhere:"`, cli(t, "", "serve", "--max-scans", "0")) // refused in any case
}

func TestCommandLinesThatCannotBeUnderstood(t *testing.T) {
	for _, args := range [][]string{
		{"bogus"},
		{"serve", "extra"},
		{"serve", "--bogus"},
		{"serve", "--http", "nowhere"},
		{"serve", "--seeds", "nowhere", "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0"},
		{"serve", "--peer-via", "nowhere", "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0"},
		{"serve", "--peer-key", "k"},
		{"serve", "--peer-tls", "certs", "--peer-key", "k"},
		{"serve", "--max-scans", "0"},
		{"serve", "--max-loads", "0"},
		{"serve", "--max-connections-per-ip", "-1"},
		{"serve", "--drain", "-1s"},
		{"serve", "--timeout", "0"},
		{"serve", "--log-format", "xml"},
		{"serve", "--log-level", "loud"},
		{"serve", "--store", "redis://127.0.0.1", "--http", "127.0.0.1:0"},
		{"serve", "--store-file", "/does/not/exist"},
		{"dev", "--nodes", "0"},
		{"dev", "--nodes", "10"},
		{"dev", "--http-port", "9081"},
		{"dev", "--http-port", "65535"},
		{"health", "--path", "/set"},
		{"certs"},
	} {
		if r := cli(t, "", args...); r.code != exitUsage {
			t.Errorf("%v: exit code %d, want %d: %s", args, r.code, exitUsage, r.all)
		}
	}
}

func TestExitCodes(t *testing.T) {
	if got := exitCode(errors.New("no")); got != cliutil.ExitFailed {
		t.Errorf("exit code %d for a failure, want %d", got, cliutil.ExitFailed)
	}
	if got := exitCode(errors.Join(nil, cliutil.Usage(errors.New("no")))); got != exitUsage {
		t.Errorf("exit code %d for a usage error, want %d", got, exitUsage)
	}
}

func TestVersionAndHelp(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"version"}, "viakv " + serve.Release},
		{nil, "Keys of a running cluster:"},
		{[]string{"serve", "--help"}, "--max-memory size"},
	} {
		r := wants(t, 0, c.want, cli(t, "", c.args...))
		if !strings.Contains(r.out, c.want) {
			t.Errorf("%v: standard output has %q", c.args, r.out)
		}
		if strings.Contains(r.all, "peer-via") {
			t.Error("--peer-via is for fault tests and should be hidden")
		}
	}
}

package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"viakv/cmd/cliutil"

	"github.com/spf13/pflag"
)

// parse reads a command line of serve as root does.
func parse(t *testing.T, environment map[string]string, args ...string) (*config, error) {
	t.Helper()
	var c config
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.flags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	return &c, cliutil.FromEnvironment("viakv", flags, func(name string) (string, bool) {
		v, ok := environment[name]
		return v, ok
	})
}

func TestAFlagWinsOverTheEnvironmentAndThatOverTheDefault(t *testing.T) {
	environment := map[string]string{
		"VIAKV_NAME": "from-environment", "VIAKV_MAX_MEMORY": "2GiB", "VIAKV_SEEDS": "a:1,b:2", "VIAKV_ALLOW_WEAK_QUORUMS": "true",
		"VIAKV_READ_QUORUM": "1",
	}
	c, err := parse(t, environment, "--name", "from-flag")
	if err != nil {
		t.Fatal(err)
	}
	if c.name != "from-flag" {
		t.Errorf("name %q: a flag wins over the environment", c.name)
	}
	if c.maxMemory != 2<<30 || !slices.Equal(c.seeds, []string{"a:1", "b:2"}) || !c.allowWeak || c.readQuorum.String() != "1" {
		t.Errorf("%+v: the environment wins over the defaults", c)
	}
	if c.drain != 2*time.Second || c.store != "memory" {
		t.Errorf("drain %v, store %q: what is given nowhere has its default", c.drain, c.store)
	}
}

func TestABadVariableIsNamed(t *testing.T) {
	_, err := parse(t, map[string]string{"VIAKV_DRAIN": "soon", "VIAKV_TIMEOUT": "later"})
	if err == nil || exitCode(err) != exitUsage {
		t.Fatalf("error %v: want one of usage", err)
	}
	for _, name := range []string{"VIAKV_DRAIN", "VIAKV_TIMEOUT"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}

func TestEveryFlagOfEveryCommandReadsTheEnvironment(t *testing.T) {
	for _, c := range root().Commands() {
		t.Run(c.Name(), func(t *testing.T) {
			asked := map[string]bool{}
			err := cliutil.FromEnvironment("viakv", c.Flags(), func(name string) (string, bool) {
				asked[name] = true
				return "", false
			})
			if err != nil {
				t.Fatal(err)
			}
			c.Flags().VisitAll(func(f *pflag.Flag) {
				if name := "VIAKV_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")); !asked[name] {
					t.Errorf("--%s is not read from %s", f.Name, name)
				}
				if f.Usage == "" {
					t.Errorf("--%s has no help", f.Name)
				}
			})
		})
	}
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
		cmd := root()
		cmd.SetArgs(args)
		cmd.SetOut(new(bytes.Buffer))
		if err := cmd.Execute(); exitCode(err) != exitUsage {
			t.Errorf("%v: error %v, want one of usage", args, err)
		}
	}
}

func TestAStoreIsNotQuoted(t *testing.T) {
	cmd := root()
	cmd.SetArgs([]string{"serve", "--http", "127.0.0.1:0", "--store", "postgers://admin:hunter2@db/kv"})
	if err := cmd.Execute(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v: want one without the password", err)
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
		{[]string{"version"}, "viakv " + release},
		{nil, "Keys of a running cluster:"},
		{[]string{"serve", "--help"}, "--max-memory size"},
	} {
		var out bytes.Buffer
		cmd := root()
		cmd.SetArgs(c.args)
		cmd.SetOut(&out)
		if err := cmd.Execute(); err != nil || !strings.Contains(out.String(), c.want) {
			t.Errorf("%v: error %v, output without %q:\n%s", c.args, err, c.want, &out)
		}
		if strings.Contains(out.String(), "peer-via") {
			t.Error("--peer-via is for fault tests and should be hidden")
		}
	}
}

package serve

import (
	"slices"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"viakv/cmd/cliutil"
)

// parse reads a command line of serve as root does.
func parse(t *testing.T, environment map[string]string, args ...string) (*Config, error) {
	t.Helper()
	var c Config
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.Flags(flags)
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

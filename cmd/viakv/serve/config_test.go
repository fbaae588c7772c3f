package serve

import (
	"slices"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestFlagsFillTheConfiguration(t *testing.T) {
	var c Config
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.Flags(flags)
	err := flags.Parse([]string{"--name", "n", "--max-memory", "2GiB", "--seeds", "a:1,b:2", "--allow-weak-quorums", "--read-quorum", "1"})
	if err != nil || c.name != "n" || c.maxMemory != 2<<30 || !slices.Equal(c.seeds, []string{"a:1", "b:2"}) || !c.allowWeak || c.readQuorum.String() != "1" {
		t.Errorf("%v, %+v", err, c)
	}
	for _, c := range []struct {
		flag, value string
		fine        bool
	}{
		{"reads", "quorum", true}, {"reads", "lease", true}, {"reads", "both", false}, {"reads", "", false},
		{"lease", "10ms", true}, {"lease", "10s", true}, {"lease", "9ms", false}, {"lease", "11s", false}, {"lease", "soon", false},
	} {
		var cfg Config
		flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		cfg.Flags(flags)
		err := flags.Set(c.flag, c.value)
		if err == nil {
			err = cfg.Check()
		}
		if (err == nil) != c.fine {
			t.Errorf("--%s %q: %v", c.flag, c.value, err)
		}
	}
	if c.reads.String() != "lease" || c.lease != 50*time.Millisecond {
		t.Errorf("reads by %v, a lease of %v", &c.reads, c.lease)
	}
	if c.drain != 2*time.Second || c.Drain() != c.drain || c.store != "memory" {
		t.Errorf("drain %v, store %q: what is not given has its default", c.drain, c.store)
	}
}

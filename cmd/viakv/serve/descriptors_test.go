package serve

import (
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestANodeFitsItselfIntoItsLimitOfOpenFiles(t *testing.T) {
	seeds := func(n int) []string { return make([]string, n) }
	for _, c := range []struct {
		limit, wanted int
		seeds         []string
		connections   int // 0: the limit is refused
		lowered       bool
	}{
		{0, 10_000, nil, 10_000, false}, // not known
		{1 << 20, 10_000, nil, 10_000, false},
		{10_577, 10_000, nil, 10_000, false}, // exactly enough
		{10_576, 10_000, nil, 9_999, true},
		{1024, 10_000, nil, 624, true},
		{1024, 500, nil, 500, false},
		{256, 10_000, seeds(3), 112, true},
		{64, 10_000, seeds(3), 27, true},
		{64, 20, seeds(3), 20, false},
		{64, 10_000, seeds(9), 9, true},
		{36, 10_000, nil, 6, true},
		{32, 10_000, nil, 2, true},
		{24, 10_000, nil, 0, false},
		{24, 1, nil, 0, false},
		{32, 1, nil, 1, false},
		{28, 10_000, nil, 0, false},
	} {
		core, logs := observer.New(zap.WarnLevel)
		config := Config{maxConnections: c.wanted, seeds: c.seeds}
		err := fitDescriptors(zap.New(core), c.limit, &config)
		if c.connections == 0 {
			if err == nil || !strings.Contains(err.Error(), "raise it to") {
				t.Errorf("%d files, %d connections: error %v", c.limit, c.wanted, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%d files, %d connections: %v", c.limit, c.wanted, err)
			continue
		}
		if config.maxConnections != c.connections {
			t.Errorf("%d files, %d connections, %d seeds: %d connections, want %d", c.limit, c.wanted, len(c.seeds), config.maxConnections, c.connections)
		}
		if said := logs.Len() > 0; said != c.lowered || c.lowered != (config.connectionsBoundBy != "") {
			t.Errorf("%d files, %d connections: the log has %v, bound by %q", c.limit, c.wanted, logs.All(), config.connectionsBoundBy)
		}
		if c.limit == 0 {
			continue
		}
		// All of them together never exceed the limit.
		members := max(3, len(c.seeds))
		unknown, probes := 66, 64
		if config.maxStrangers > 0 {
			unknown, probes = config.maxStrangers, config.maxAdminConnections
		}
		most := clientDescriptors(config.maxConnections) + clientDescriptors(probes) + unknown + peerDescriptors*(members-1) + ownDescriptors
		if most > c.limit {
			t.Errorf("%d files, %d connections: %d may be open", c.limit, c.wanted, most)
		}
	}
	if openFiles() < 64 {
		t.Errorf("this process may have only %d files open", openFiles())
	}
}

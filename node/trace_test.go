package node

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"viakv/api/kv"
)

// The owner of a key carries out its remove. The owner's log names the trace of the request.
func TestATraceGoesWithARemoveToTheOwner(t *testing.T) {
	const n = 3
	var logs [n]*observer.ObservedLogs
	log := func(i int) *zap.Logger {
		core, seen := observer.New(zap.DebugLevel)
		logs[i] = seen
		return zap.New(core)
	}
	traced := func(i int, trace kv.Trace) int {
		return logs[i].FilterField(zap.Stringer("traceparent", trace)).Len()
	}
	inLoggedMesh(t, n, log, func(m *mesh) {
		owners := map[int]bool{}
		for k := 0; len(owners) < n; k++ {
			key := fmt.Sprint("key", k)
			m.set(0, key, "v")
			s := m.state(0)
			owner := s.View.Ring.Owner(s.View.Seed.Hash([]byte(key)).Partition())
			owners[owner] = true
			trace := kv.Trace{ID: [16]byte{1, byte(k)}, Parent: [8]byte{2}, Flags: 1}
			if err := m.nodes[0].Remove(context.Background(), []byte(key), kv.Options{Trace: trace}); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				want := 0
				if i == owner && i != 0 {
					want = 1
				}
				if got := traced(i, trace); got != want {
					t.Errorf("%s, owned by %s: %d entries of the trace at %s, want %d", key, m.name(owner), got, m.name(i), want)
				}
			}
		}
	})
}

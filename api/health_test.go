package api

import (
	"context"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"viakv/api/kv"
)

func TestARefusedProbeDoesNotFillTheLog(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	refusing := func(context.Context, string) error { return &kv.Unavailable{Outcome: kv.None, Reason: "no quorum"} }
	h := start(t, Config{Store: &recorder{hook: refusing}, Logger: zap.New(core)})
	for _, c := range []struct {
		path  string
		level string
	}{{"/readyz", "debug"}, {"/get?k=a", "warn"}} {
		logs.TakeAll()
		if a := h.get(c.path); a.status != 503 {
			t.Fatalf("%s: status %d, want 503", c.path, a.status)
		}
		entries := logs.FilterMessage("request failed").All()
		if len(entries) != 1 || entries[0].Level.String() != c.level {
			t.Errorf("%s is logged as %v, want one entry of level %s", c.path, entries, c.level)
		}
	}
}

package sleep_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/sleep"
)

func TestForWaitsOrEndsWithTheContext(t *testing.T) {
	for _, c := range []struct {
		name       string
		d, ends    time.Duration // ends: when the context ends; zero: never; negative: before the call
		want       bool
		wantWaited time.Duration
	}{
		{name: "the time passes", d: time.Minute, want: true, wantWaited: time.Minute},
		{name: "the context ends first", d: time.Minute, ends: time.Second, want: false, wantWaited: time.Second},
		{name: "the context has ended", d: time.Minute, ends: -1, want: false},
		{name: "no time", d: 0, want: true},
		{name: "less than no time", d: -time.Second, want: true},
		{name: "no time, and the context has ended", d: 0, ends: -1, want: false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				switch {
				case c.ends < 0:
					cancel()
				case c.ends > 0:
					time.AfterFunc(c.ends, cancel)
				}
				began := time.Now()
				if got := sleep.For(ctx, c.d); got != c.want {
					t.Errorf("it returned %v", got)
				}
				if waited := time.Since(began); waited != c.wantWaited {
					t.Errorf("it waited for %v, want %v", waited, c.wantWaited)
				}
			})
		})
	}
}

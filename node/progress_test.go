package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"viakv/api/kv"
)

func TestProgressSaysWhatIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		sync  *kv.Sync
		want  string
		cause error
	}{
		{nil, "about to copy the others' keys", nil},
		{&kv.Sync{Kind: "rebuild", Done: 0.25, Keys: 7, Left: 3 * time.Second, Need: 2, Sources: 2}, "rebuild: 25 % done, 7 keys, about 3 s left", nil},
		{&kv.Sync{Kind: "barrier", Done: 0.5}, "barrier: 50 % done, 0 keys, about 0 s left", nil},
		{&kv.Sync{Kind: "rebuild", Need: 2, Sources: 1}, "2 full copies are needed to rebuild and 1 members are active: writes may be lost with the others", kv.ErrTooFewCopies},
	} {
		if got, cause := describeSync(c.sync); got != c.want || !errors.Is(cause, c.cause) {
			t.Errorf("%+v: %q, %v, want %q, %v", c.sync, got, cause, c.want, c.cause)
		}
	}
}

// Two of five members lack a copy each, and a third one restarts. Two full copies are left, and the
// third needs three.
func TestARebuildThatLacksCopiesSaysSo(t *testing.T) {
	inMesh(t, 5, func(m *mesh) {
		leader, one, other := m.leaderAndFollowers()
		lacking := []int{(leader + 3) % 5, (leader + 4) % 5}
		for _, i := range lacking {
			m.kill(i)
			m.cut(other, i)
			m.start(i, m.seeds(5))
		}
		m.until(30*time.Second, "both are rebuilding", func() bool {
			s := m.nodes[leader].Status()
			return s.Members[lacking[0]].State == "rebuilding" && s.Members[lacking[1]].State == "rebuilding"
		})
		m.kill(one)
		m.start(one, m.seeds(5))
		m.until(30*time.Second, "the third says what it waits for", func() bool {
			return errors.Is(m.nodes[one].Ready(context.Background()), kv.ErrTooFewCopies) && errors.Is(m.nodes[one].Status().Reason, kv.ErrTooFewCopies)
		})
	})
}

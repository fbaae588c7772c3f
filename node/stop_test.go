package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"viakv/api/kv"
)

// A join that is under way when the node stops ends with it, and one that comes later begins nothing.
func TestAJoinEndsWithTheNode(t *testing.T) {
	inMesh(t, 2, func(m *mesh) {
		m.start(2, nil)
		m.until(10*time.Second, "the third is alone", m.ready(2))
		m.isolate(2, true)
		ended := make(chan error)
		go func() { ended <- m.nodes[2].Join(context.Background(), string(m.address(0))) }()
		time.Sleep(500 * time.Millisecond)
		m.kill(2)
		if err := <-ended; !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("the join that was under way: %v", err)
		}
		if err := m.nodes[2].Join(context.Background(), string(m.address(0))); !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("a join of a stopped node: %v", err)
		}
	})
}

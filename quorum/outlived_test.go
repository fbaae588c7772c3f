package quorum

import (
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/kv"
)

// The epoch ends while a request waits for members that are silent. Those that have answered at the
// old epoch tell of no newer one. So the request must notice by itself that this node has gone on,
// and go on, too, long before its deadline.
func TestARequestGoesOnWithItsNode(t *testing.T) {
	for name, do := range map[string]func(nd *node) error{
		"get": func(nd *node) error { _, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{}); return err },
		"is":  func(nd *node) error { _, err := nd.Has(bg, []byte("k"), kv.Options{}); return err },
		"set": func(nd *node) error { _, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{}); return err },
		"set, whose record is sent": func(nd *node) error {
			before := nd.filter
			nd.filter = func(c *Call) bool { return c.Kind == Store && before(c) }
			_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
			return err
		},
		"remove": func(nd *node) error { return nd.RemoveHere(bg, []byte("k"), kv.Options{}) },
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 5, func(t *testing.T, m *mesh) {
				nd := m.nodes[0]
				nd.mustSet("k", "old")
				time.Sleep(time.Second)
				var over atomic.Bool
				nd.filter = func(c *Call) bool {
					if c.Member < 2 || over.Load() {
						return false
					}
					nd.swallow(c)
					return true
				}
				time.AfterFunc(20*time.Millisecond, func() {
					over.Store(true)
					m.Advance(nil, members(5)...)
				})
				began := time.Now()
				if err := do(nd); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > 300*time.Millisecond {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

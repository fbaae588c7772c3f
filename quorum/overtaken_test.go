package quorum

import (
	"slices"
	"testing"
	"time"
)

// A member that went on to the next epoch refuses a record of this one. If the request is answered
// by then, the record is not sent again. So the member must get a hint, or it would miss the record
// until its contents are compared.
func TestAMemberThatIsAheadAfterTheAnswerGetsAHint(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		nd := m.nodes[0]
		nd.filter = func(c *Call) bool {
			if c.Kind != Store || c.Member != 2 {
				return false
			}
			time.AfterFunc(time.Millisecond, func() {
				c.Status = Stale
				c.End()
			})
			return true
		}
		nd.mustSet("k", "v")
		time.Sleep(time.Second) // in the bubble's time
		m.mu.Lock()
		defer m.mu.Unlock()
		if !slices.Equal(m.misses, []string{"nc/k"}) {
			t.Errorf("hints %v, want one for the member that is ahead", m.misses)
		}
	})
}

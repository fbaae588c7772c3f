//go:build alerts && postgres && linux

package e2e

import (
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// Nodes on a database have no members and no quorums. What they lack must not look like an outage.
func TestAlertsOfNodesOnADatabase(t *testing.T) {
	t.Parallel()
	s := newPostgres(t)
	url := s.URL(s.Database(t))
	var addresses, targets []string
	for _, n := range []string{"a", "b"} {
		address := startOn(t, url, "--name", n).Serves()
		addresses, targets = append(addresses, address), append(targets, n, address)
	}
	for _, c := range []struct {
		name  string
		make  func()
		ready int
		fires []string
	}{
		{"healthy", func() {}, 200, nil},
		{"the database is down", s.Kill, 503, []string{"ViakvNodeNotActive a", "ViakvNodeNotActive b", "ViakvMajorityLost"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWatch(t, targets...)
			clients(t, addresses, 2, mixed)
			c.make()
			viakvtest.AwaitStatus(t, c.ready, addresses[0], "/readyz")
			w.hold()
			w.fires(c.fires...)
		})
	}
}

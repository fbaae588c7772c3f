package serve

import (
	"slices"
	"strings"
	"testing"
	"time"

	"viakv/node/database/stateless"
)

func TestPoolMetrics(t *testing.T) {
	pool := stateless.Pool{InUse: 3, Idle: 2, Limit: 32, Waiting: 1, Opened: 7, Failed: 4, Waited: 1500 * time.Millisecond}
	want := []string{
		`viakv_database_connection_wait_seconds_total 1.5`,
		`viakv_database_connections_denied_total 4`,
		`viakv_database_connections_limit 32`,
		`viakv_database_connections_opened_total 7`,
		`viakv_database_connections{state="idle"} 2`,
		`viakv_database_connections{state="in_use"} 3`,
		`viakv_database_waiting_requests 1`,
	}
	if got := page(t, newPoolMetrics(func() stateless.Pool { return pool })); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := page(t, newCollectedRows(func() uint64 { return 9 })); !slices.Equal(got, []string{"viakv_database_collected_rows_total 9"}) {
		t.Errorf("got %q", got)
	}
}

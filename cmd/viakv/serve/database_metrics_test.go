package serve

import (
	"testing"
	"time"

	"viakv/node/database/stateless"
)

func TestPoolMetrics(t *testing.T) {
	pool := stateless.Pool{InUse: 3, Idle: 2, Limit: 32, Waiting: 1, Opened: 7, Failed: 4, Waited: 1500 * time.Millisecond}
	shows(t, newPoolMetrics(func() stateless.Pool { return pool }),
		`viakv_database_connection_wait_seconds_total 1.5`,
		`viakv_database_connections_denied_total 4`,
		`viakv_database_connections_limit 32`,
		`viakv_database_connections_opened_total 7`,
		`viakv_database_connections{state="idle"} 2`,
		`viakv_database_connections{state="in_use"} 3`,
		`viakv_database_waiting_requests 1`,
	)
	shows(t, newCollectedRows(func() uint64 { return 9 }), "viakv_database_collected_rows_total 9")
}

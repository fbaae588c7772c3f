package serve

import (
	"github.com/prometheus/client_golang/prometheus"

	"viakv/node/database/stateless"
)

// poolMetrics renders the state of a store's connections to its database.
type poolMetrics struct {
	descriptions
	stats func() stateless.Pool

	connections, limit, waiting *prometheus.Desc
	opened, failed, waited      *prometheus.Desc
}

func newPoolMetrics(stats func() stateless.Pool) *poolMetrics {
	m := &poolMetrics{stats: stats}
	m.connections = m.describe("database_connections", "Connections to the database: in use by a request, or idle.", "state")
	m.limit = m.describe("database_connections_limit", "The most connections to the database, or on MongoDB to each of its servers, that this node opens.")
	m.waiting = m.describe("database_waiting_requests", "Requests that want a connection to the database now and have none.")
	m.opened = m.describe("database_connections_opened_total", "Connections to the database that this node has opened. A steady rise means that they do not last.")
	m.failed = m.describe("database_connections_denied_total", "Requests that got no connection to the database in time.")
	m.waited = m.describe("database_connection_wait_seconds_total", "Time that all requests together took to get a connection to the database, or to give up.")
	return m
}

// Collect implements prometheus.Collector.
func (m *poolMetrics) Collect(out chan<- prometheus.Metric) {
	row := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	p := m.stats()
	row(m.connections, prometheus.GaugeValue, float64(p.InUse), "in_use")
	row(m.connections, prometheus.GaugeValue, float64(p.Idle), "idle")
	row(m.limit, prometheus.GaugeValue, float64(p.Limit))
	row(m.waiting, prometheus.GaugeValue, float64(p.Waiting))
	row(m.opened, prometheus.CounterValue, float64(p.Opened))
	row(m.failed, prometheus.CounterValue, float64(p.Failed))
	row(m.waited, prometheus.CounterValue, p.Waited.Seconds())
}

// newCollectedRows counts the rows that the store deleted after clears. Only PostgreSQL and
// CockroachDB leave rows to delete.
func newCollectedRows(collected func() uint64) prometheus.Collector {
	return newCount("database_collected_rows_total", "Rows from before a clear that this node has deleted.", collected)
}

//go:build postgres

package postgres

import (
	"testing"

	"viakv/api/kv/kvtest"
)

// TestMillionRows: a scan of a million rows keeps no more than a few pages in memory. A clear of
// that size under load writes one row, and the collector deletes the garbage beside the writers.
func TestMillionRows(t *testing.T) {
	const rows = 1_000_000
	s := openFresh(t)
	fillRows(t, s, rows)
	kvtest.ScanIsFlat(t, s, rows, 48<<20)
	kvtest.LargeClear(t, s, func() {
		eventually(t, "garbage is collected beside the writers", func() bool { return s.Stats().Collected >= 10*collectRows })
	})
}

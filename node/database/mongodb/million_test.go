package mongodb

import (
	"testing"

	"viakv/api/kv/kvtest"
)

// TestMillionDocuments: a scan of a million documents keeps a few pages in memory. A clear under
// load then takes all of them.
func TestMillionDocuments(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a store with a million documents")
	}
	const documents = 1_000_000
	r := newStandIn(t)
	r.put(documents, []byte("a value of some forty characters, no less"))
	s := openOn(t, r.url())
	kvtest.ScanIsFlat(t, s, documents, 64<<20)
	kvtest.LargeClear(t, s, nil)
}

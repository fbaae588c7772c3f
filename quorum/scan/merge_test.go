package scan

import (
	"context"
	"errors"
	"testing"

	"viakv/api/kv"
	"viakv/ring/keyspace"
)

// What another member holds in a range comes in pages. One that does not go on where the page
// before it ended must not be asked for again and again.
func TestACopyIsMadeOfPages(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(200)
	x, err := s.scans(0).begin(context.Background(), kv.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	v := s.nodes[0].view.Load()
	want, err := s.replicas[1].Entries(v.Epoch, keyspace.All())
	if err != nil {
		t.Fatal(err)
	}
	var b Bucket
	if err := x.copyOf(v, 1, keyspace.All(), &b); err != nil || len(b.Records) != len(want) {
		t.Errorf("%d records of %d, %v", len(b.Records), len(want), err)
	}
	for i := range min(len(want), len(b.Records)) {
		if got := b.Records[i]; string(got.Key) != string(want[i].Key) || string(got.Record.Value) != string(want[i].Record.Value) {
			t.Fatalf("record %d is %q = %q, want %q", i, got.Key, got.Record.Value, want[i].Key)
		}
	}
	s.stuck = true
	if err := x.copyOf(v, 1, keyspace.Range{From: 1}, &b); !errors.Is(err, errNoProgress) {
		t.Errorf("pages that do not go on: %v", err)
	}
}

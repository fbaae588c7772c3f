package scan

import (
	"context"
	"errors"
	"strings"
	"testing"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// A copy of another member's range comes in pages. A page that does not go on where the former one
// ended is an error, and must not be asked for again and again.
func TestACopyIsMadeOfPages(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(200)
	x, err := s.scans(0).begin(context.Background(), kv.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	v := s.nodes[0].Current()
	want, err := s.Stores[1].Entries(v.Epoch, keyspace.All())
	if err != nil {
		t.Fatal(err)
	}
	records, err := x.copyOf(v, 1, keyspace.All())
	if err != nil || len(records) != len(want) {
		t.Errorf("%d records of %d, %v", len(records), len(want), err)
	}
	for i := range min(len(want), len(records)) {
		if got := records[i]; string(got.Key) != string(want[i].Key) || string(got.Record.Value) != string(want[i].Record.Value) {
			t.Fatalf("record %d is %q = %q, want %q", i, got.Key, got.Record.Value, want[i].Key)
		}
	}
	s.stuck = true
	if _, err := x.copyOf(v, 1, keyspace.Range{From: 1}); !errors.Is(err, errNoProgress) {
		t.Errorf("pages that do not go on: %v", err)
	}
}

// C2: copies agree on a key if all of them hold it, at one version.
func TestUnion(t *testing.T) {
	list := func(keys string) (records []replica.Entry) {
		for _, k := range keys {
			// An upper-case letter is another version.
			key, counter := strings.ToLower(string(k)), uint64(1)
			if string(k) != key {
				counter = 2
			}
			records = append(records, replica.Entry{Rank: keyspace.Rank(key[0]), Key: []byte(key), Record: written(counter, "v")})
		}
		return records
	}
	for _, c := range []struct{ own, other, want string }{
		{"abc", "abc", "a= b= c= "},
		{"abc", "ac", "a= b c= "},
		{"ac", "abc", "a= b c= "},
		{"ab", "abc", "a= b= c "},
		{"bc", "abc", "a b= c= "},
		{"abc", "aBc", "a= b c= "},
		{"", "a", "a "},
	} {
		u := union{list(c.own), list(c.other)}
		got := ""
		for {
			first, agree, ok := u.next()
			if !ok {
				break
			}
			got += string(first.Key)
			if agree {
				got += "="
			}
			got += " "
		}
		if got != c.want {
			t.Errorf("%q and %q: %q, want %q", c.own, c.other, got, c.want)
		}
	}
}

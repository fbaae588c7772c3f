package node

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/handoff"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
	"viakv/ring/keyspace/keyspacetest"
)

// xxhash64 hashes the keys of these tests alike. The store hashes keys otherwise, so they are
// ordinary keys to it. With VIAKV_BREAK=keyed-hash and -tags mutation (make mutation), the store
// uses xxhash64, and all of them share one rank.

// howMany returns how many colliding keys a test makes: the value of VIAKV_TEST_COLLIDING, or some
// if it is not set.
func howMany(t *testing.T, some int) int {
	t.Helper()
	text := os.Getenv("VIAKV_TEST_COLLIDING")
	if text == "" {
		return some
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func live(counter uint64, value string) version.Record {
	return version.Record{Tag: version.Tag{Counter: counter, Incarnation: 1}, Value: []byte(value)}
}

// ranked is a key with its rank.
type ranked struct {
	rank keyspace.Rank
	key  string
}

// inOrder returns keys in the order in which they are copied: by rank, then by key.
func (s *state) inOrder(keys []string) []ranked {
	out := make([]ranked, len(keys))
	for i, k := range keys {
		out[i] = ranked{s.View.Seed.Hash([]byte(k)).Rank(), k}
	}
	slices.SortFunc(out, func(a, b ranked) int {
		if a.rank != b.rank {
			return int(int64(a.rank>>1) - int64(b.rank>>1))
		}
		return strings.Compare(a.key, b.key)
	})
	return out
}

// No answer is longer than a message, whatever a peer asks for. A peer that goes on where each
// answer ends gets everything once.
func TestCollidingKeysAreServedInPortions(t *testing.T) {
	for _, n := range []int{500, howMany(t, 10_000)} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { servedInPortions(t, n) })
	}
}

// servedInPortions stores n colliding keys and 3000 others at one node, and reads them with each
// kind of bulk request.
func servedInPortions(t *testing.T, n int) {
	inMesh(t, 3, func(m *mesh) {
		s := m.state(1)
		value := strings.Repeat("v", kv.MaxValueBytes)
		var keys []string
		for i, k := range keyspacetest.Colliding(n) {
			s.put(t, string(k), live(uint64(i+1), value))
			keys = append(keys, string(k))
		}
		for i := range 3000 {
			s.put(t, key(i), live(uint64(n+i+1), ""))
			keys = append(keys, key(i))
		}
		all := s.inOrder(keys)
		// ask sends node 1 one request, as a peer would, and returns the body of the reply.
		ask := func(op wire.Op, body func([]byte) []byte) []byte {
			reply := m.nodes[1].server.Serve(context.Background(), nil, body(request(op, m.state(0), s)))
			if len(reply) > transport.MaxFrame*3/4 {
				t.Fatalf("%v: a reply of %d bytes", op, len(reply))
			}
			r, err := wire.ParseReply(reply)
			if err != nil || r.Status != wire.OK {
				t.Fatalf("%v: %v %v", op, r.Status, err)
			}
			return r.Body
		}
		// records reads page after page, and wants all records in order.
		records := func(what string, next func(keyspace.Place) (body []byte), done func(keyspace.Place) bool) {
			var got []string
			for at, pages := (keyspace.Place{}), 0; ; pages++ {
				to, list, err := wire.ParseRecords(nil, next(at))
				if err != nil || len(list) == 0 && !done(to) {
					t.Fatalf("%s: page %d has %d records: %v", what, pages, len(list), err)
				}
				for _, k := range list {
					got = append(got, string(k.Key))
				}
				if done(to) {
					break
				}
				at = to
			}
			if !slices.EqualFunc(got, all, func(k string, r ranked) bool { return k == r.key }) {
				t.Errorf("%s: %d records, want %d, in order", what, len(got), len(all))
			}
		}
		// Copy, by pages of different sizes.
		for _, most := range []uint64{0, 20_000, 256 << 10, math.MaxUint64} {
			// Skip small pages of many keys: each answer costs as much as all keys of the rank.
			if n > 1000 && most < 256<<10 {
				continue
			}
			records(fmt.Sprintf("copies of %d bytes", most), func(at keyspace.Place) []byte {
				return ask(wire.Copy, func(b []byte) []byte {
					return wire.AppendRangeRequest(b, wire.RangeRequest{Range: keyspace.Range{From: at.Rank}, After: at.Key, Max: most})
				})
			}, keyspace.Place.IsZero)
		}
		// Fetch, by the ranks of all records.
		var ranks []keyspace.Rank
		for _, r := range all {
			ranks = append(ranks, r.rank)
		}
		ranks = slices.Compact(ranks)
		left := ranks
		records("fetches of everything", func(at keyspace.Place) []byte {
			if !at.IsZero() {
				i, asked := slices.BinarySearch(left, at.Rank)
				if !asked {
					t.Fatalf("a fetch goes on at %x", at.Rank)
				}
				left = left[i:]
			}
			part := left[:min(len(left), wire.MaxRanks)]
			body := ask(wire.Fetch, func(b []byte) []byte { return wire.AppendRanks(b, part, at.Key) })
			if next, list, err := wire.ParseRecords(nil, body); err == nil && next.IsZero() && len(part) < len(left) {
				body = nil // the next fetch begins with the next rank
				for i := range list {
					body = wire.AppendEntry(body, list[i].Key, &list[i].Record)
				}
				body = wire.AppendNext(body, keyspace.Place{Rank: left[len(part)]})
			}
			return body
		}, keyspace.Place.IsZero)
		// Tags, which list each rank once and mark a rank that several keys share.
		for _, most := range []uint64{0, 100, math.MaxUint64} {
			if n > 1000 && most == 0 {
				continue
			}
			var got []keyspace.Rank
			shared := 0
			for r := keyspace.All(); ; {
				next, tags, err := wire.ParseTags(nil, ask(wire.Tags, func(b []byte) []byte {
					return wire.AppendRangeRequest(b, wire.RangeRequest{Range: r, Max: most})
				}))
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range tags {
					got = append(got, x.Rank)
					if x.Shared {
						shared++
					}
				}
				if r.From = next; next == 0 {
					break
				}
			}
			if !slices.Equal(got, ranks) || shared > 1 || shared == 1 != (len(ranks) < len(all)) {
				t.Errorf("tags of %d ranks, %d of them shared, of %d keys at %d ranks", len(got), shared, len(all), len(ranks))
			}
		}
		// Digests of as many ranges as one request may name.
		ranges := make([]keyspace.Range, wire.MaxRanges)
		ask(wire.Digests, func(b []byte) []byte { return wire.AppendRanges(b, ranges) })
	})
}

// A node that lost its memory gets colliding keys back, over real connections.
func TestCollidingKeysStopNoRebuild(t *testing.T) {
	n := howMany(t, 8000)
	r := newTCPMesh(t, 3)
	value := strings.Repeat("\U0001F5DD", 256)
	keys := keyspacetest.Colliding(n)
	for _, i := range []int{0, 1, 2} {
		s := r.state(i)
		for k := range keys {
			s.put(t, string(keys[k]), live(uint64(k+1), value))
		}
	}
	r.restart(2)
	r.await(2, time.Minute)
	if r.root(2) != r.root(0) {
		t.Errorf("rebuilt %s, want %s", r.root(2), r.root(0))
	}
}

// Members that differ in keys of one rank become equal, and a fourth node joins.
func TestCollidingKeysStopNoRepair(t *testing.T) {
	n := howMany(t, 4000)
	inMesh(t, 3, func(m *mesh) {
		keys := keyspacetest.Colliding(n)
		for i := range 3 {
			s := m.state(i)
			for k, key := range keys {
				s.put(t, string(key), live(uint64(k+1), "everywhere"))
				if k%3 == i {
					s.put(t, string(key), live(uint64(n+k+1), fmt.Sprint("only at ", i)))
				}
			}
		}
		m.until(2*time.Minute, "all are equal", m.equal(0, 1, 2))
		for i := range 3 {
			m.wants(i, string(keys[1]), "only at 1")
		}
		m.alone(3)
		m.joins(3, 1)
		m.until(time.Minute, "all are equal", m.equal(0, 1, 2, 3))
	})
}

// The tombstones of removed keys are purged, however many of them share a rank.
func TestCollidingKeysArePurged(t *testing.T) {
	n := howMany(t, 2000)
	inMesh(t, 3, func(m *mesh) {
		for i := range 3 {
			s := m.state(i)
			for k, key := range keyspacetest.Colliding(n) {
				tag := version.Tag{Counter: uint64(k + 1), Incarnation: 1, Removed: true}
				s.put(t, string(key), version.Record{Tag: tag, Owner: version.Operation{Incarnation: 1, Sequence: uint64(k + 1)}})
			}
		}
		m.until(10*time.Minute, "the tombstones are gone everywhere", m.collected)
	})
}

// A scan over members that differ reads the keys that differ, even if they share a rank. Its pages
// may end within a rank.
func TestCollidingKeysAreScanned(t *testing.T) {
	n := howMany(t, 1500)
	inMesh(t, 3, func(m *mesh) {
		keys := keyspacetest.Colliding(n)
		m.withoutLeases()
		for i := range 3 {
			s := m.state(i)
			for k, key := range keys {
				if k%100 != i { // each node misses some keys
					s.put(t, string(key), live(uint64(k+1), "v"))
				}
			}
		}
		seen := map[string]int{}
		// Each page comes from another node, which goes on at the cursor of the page before.
		for cursor, at := "", 0; ; at = (at + 1) % 3 {
			sc, err := m.nodes[at].Scan(context.Background(), kv.ScanOptions{Values: true, Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			var b kv.Batch
			ok, err := sc.Next(context.Background(), &b)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				sc.Close()
				break
			}
			page := min(len(b.Pairs), 1+n/4)
			for _, p := range b.Pairs[:page] {
				seen[string(p.Key)]++
			}
			cursor = sc.Cursor(page)
			sc.Close()
			if cursor == "" {
				break
			}
		}
		for _, k := range keys {
			if seen[string(k)] != 1 {
				t.Fatalf("the scan returned %q %d times", k, seen[string(k)])
			}
		}
	})
}

// The longest push and the longest list of tombstones fit into a message.
func TestTheLongestRequestsFit(t *testing.T) {
	key := make([]byte, kv.MaxKeyBytes)
	longest := version.Record{
		Tag:    version.Tag{Generation: math.MaxUint64, Counter: math.MaxUint64, Incarnation: math.MaxUint64},
		Vector: make(version.Vector, version.MaxVectorBytes), Value: make([]byte, kv.MaxValueBytes),
	}
	request := wire.AppendRequest(nil, wire.Push, wire.Stamp{Cluster: math.MaxUint64, Epoch: math.MaxUint64, To: math.MaxUint64, From: math.MaxUint64})
	for range handoff.MaxEntries {
		request = wire.AppendEntry(request, key, &longest)
	}
	if n := len(wire.AppendNext(request, keyspace.Place{})); n > transport.MaxFrame {
		t.Errorf("a push of %d bytes", n)
	}
	tag := longest.Tag
	tag.Removed = true
	for _, n := range []int{1, kv.MaxKeyBytes} { // the shortest keys make the longest lists
		var list []replica.Tombstone
		size := 0
		for size < 2*replica.MaxListBytes {
			t := replica.Tombstone{Key: key[:n], Tag: tag}
			size += t.Size()
			list = append(list, t)
		}
		if got := len(wire.AppendList(nil, math.MaxUint64, list)); got > size {
			t.Errorf("a list of %d bytes takes %d", size, got)
		}
	}
	if 2*replica.MaxListBytes > transport.MaxFrame {
		t.Error("a list may not fit a message")
	}
}

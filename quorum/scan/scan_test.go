package scan

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

func TestScanDeliversEveryKeyOnceInOrder(t *testing.T) {
	for _, n := range []int{1, 3, 5} {
		s := newMesh(t, n)
		s.fill(1500)
		s.put("gone", version.Record{Tag: version.Tag{Counter: 4, Incarnation: 1, Removed: true}}, 0)
		for i := range n {
			s.put("gone", *s.Stores[0].Record("gone"), i)
		}
		for self := range n {
			got := drain(t, s.scan(self, kv.ScanOptions{Values: true}))
			m := wantKeys(t, got, 1500)
			if len(m) != 1500 || m["key-0007"] != "value-7" {
				t.Errorf("%d nodes: %d keys, %q", n, len(m), m["key-0007"])
			}
			if !slices.IsSortedFunc(got, func(a, b pair) int {
				return int(int64(replicatest.Seed.Hash([]byte(a.key)).Rank()>>1) - int64(replicatest.Seed.Hash([]byte(b.key)).Rank()>>1))
			}) {
				t.Error("not in the order of ranks")
			}
		}
	}
}

func TestScanOptions(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(300)
	got := drain(t, s.scan(0, kv.ScanOptions{Prefix: "key-01"}))
	if len(got) != 100 || got[0].value != "" {
		t.Errorf("%d keys, first %q", len(got), got[0])
	}
	if got := drain(t, s.scan(0, kv.ScanOptions{Prefix: "nothing"})); len(got) != 0 {
		t.Errorf("%d keys with a prefix that none has", len(got))
	}
	sc := s.scan(0, kv.ScanOptions{})
	var b kv.Batch
	if ok, err := sc.Next(context.Background(), &b); !ok || err != nil || b.Pairs[0].Value != nil {
		t.Errorf("%v %v %q: want no value where keys only were asked for", ok, err, b.Pairs[0].Value)
	}
	s.put("empty", written(3, ""), 0, 1, 2)
	sc = s.scan(0, kv.ScanOptions{Prefix: "empty", Values: true})
	if ok, err := sc.Next(context.Background(), &b); !ok || err != nil || b.Pairs[0].Value == nil {
		t.Error("an empty value looks like none")
	}
	var bad *kv.ArgumentError
	if _, err := s.scans(0).Scan(context.Background(), kv.ScanOptions{Options: kv.Options{R: 4}}); !errors.As(err, &bad) {
		t.Errorf("r=4 of 3: %v", err)
	}
}

// C2: where replicas differ, the scan answers what a read would answer, and repairs.
func TestScanReadsWhereReplicasDiffer(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(300)
	s.put("missed", written(5, "acknowledged"), 1, 2) // acknowledged by two; the scanning node missed it
	s.put("key-0001", written(5, "newer"), 1, 2)
	s.put("key-0002", version.Record{Tag: version.Tag{Counter: 1, Incarnation: 9, Removed: true}, Owner: version.Operation{Incarnation: 1, Sequence: 1}}, 1, 2)
	s.put("key-0003", written(openFrom, "only here"), 0) // not complete
	m := map[string]string{}
	for _, p := range drain(t, s.scan(0, kv.ScanOptions{Values: true})) {
		m[p.key] = p.value
	}
	if m["missed"] != "acknowledged" || m["key-0001"] != "newer" || m["key-0003"] != "only here" {
		t.Errorf("%q %q %q", m["missed"], m["key-0001"], m["key-0003"])
	}
	if _, there := m["key-0002"]; there || len(m) != 300 {
		t.Errorf("a removed key is there: %v; %d keys", there, len(m))
	}
	holders := 0
	for _, r := range s.Stores {
		if string(r.Record("key-0003").Value) == "only here" {
			holders++
		}
	}
	if holders < 2 {
		t.Error("a value was delivered that no majority holds: the next read could miss it (D4)")
	}
}

// C1, C2: under writes, splits and merges, each key that is there throughout comes once. Its value
// is one that it had meanwhile.
func TestScanUnderWrites(t *testing.T) {
	const keys = 400
	s := newMesh(t, 3)
	for _, n := range s.nodes {
		// The buckets of these replicas are slow to make, above all on a busy machine.
		n.timeout = 100 * time.Second
	}
	s.fill(keys)
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprintf("key-%04d", r.IntN(keys))
				_, _ = s.nodes[w].Set(context.Background(), []byte(key), fmt.Appendf(nil, "new-%d", i), kv.Options{})
				if i%50 == 0 {
					s.mu.Lock()
					s.levels[w] = uint(r.IntN(3))
					s.mu.Unlock()
				}
				time.Sleep(100 * time.Microsecond)
			}
		})
	}
	for range 3 {
		for self := range 3 {
			wantKeys(t, drain(t, s.scan(self, kv.ScanOptions{Values: true})), keys)
		}
	}
	close(stop)
	writers.Wait()
}

// C1: a round ends in the middle of a partition. Its buckets are merged while it is confirmed, so
// it is copied again. After that they are split once more. What lies beyond the round's end belongs
// to the next round.
func TestARoundThatIsCopiedAgainKeepsItsEnd(t *testing.T) {
	const keys = 2000
	s := newMesh(t, 3)
	s.fill(keys)
	in := func(p keyspace.Partition) string {
		for i := range keys {
			if key := fmt.Sprintf("key-%04d", i); rankOf([]byte(key)).Partition() == p {
				return key
			}
		}
		t.Fatalf("no key in partition %d", p)
		return ""
	}
	var owns, digests atomic.Int64
	level := func(l uint) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.levels[0] = l
	}
	level(0)
	s.before = func(op string, m int) {
		switch op {
		case "own":
			if owns.Add(1) == 2 {
				level(2) // the round is one bucket of partition 0, four of 1, and three of 2
			}
		case "digests":
			switch digests.Add(1) {
			case 1:
				level(0)
				s.put(in(1), written(7, "differs"), m)
			case 2:
				level(2)
				s.put(in(2), written(7, "differs"), m)
			}
		}
	}
	scans := s.scans(0)
	sc, err := scans.Scan(context.Background(), kv.ScanOptions{Values: true})
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	wantKeys(t, drain(t, sc), keys)
	if got := scans.Stats(); got.Renewed == 0 || got.Merged == 0 {
		t.Errorf("the round was not copied again and looked at again: %+v", got)
	}
}

// C4: pages of any size, continued at any node, together have each key once.
func TestScanPages(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(250)
	r := rand.New(rand.NewPCG(3, 4))
	for _, most := range []int{2, 7, 100, 10_000} {
		var all []pair
		cursor, pages := "", 0
		for {
			// Each page goes on from the last one, at a random node and with a random length.
			sc := s.scan(r.IntN(3), kv.ScanOptions{Cursor: cursor, Values: true})
			limit := 1 + r.IntN(most)
			cursor = ""
			var b kv.Batch
			for limit > 0 {
				ok, err := sc.Next(context.Background(), &b)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				n := min(limit, len(b.Pairs))
				for _, p := range b.Pairs[:n] {
					all = append(all, pair{string(p.Key), string(p.Value)})
				}
				limit -= n
				cursor = sc.Cursor(n)
				if cursor != sc.Cursor(n) {
					t.Fatal("the cursor changes when it is asked for again")
				}
			}
			sc.Close()
			if pages++; cursor == "" {
				break
			}
			// Between two pages a node may split or merge its buckets.
			s.mu.Lock()
			s.levels[r.IntN(3)] = uint(r.IntN(3))
			s.mu.Unlock()
		}
		if m := wantKeys(t, all, 250); len(m) != 250 || pages < 250/most {
			t.Errorf("limit up to %d: %d keys on %d pages", most, len(m), pages)
		}
	}
}

// A page that ends with the last pair has no cursor, even when empty buckets follow.
func TestNoCursorWhenNothingFollows(t *testing.T) {
	s := newMesh(t, 1)
	s.put("only", written(1, "v"), 0)
	sc := s.scan(0, kv.ScanOptions{})
	b := next(t, sc)
	if c := sc.Cursor(1); c != "" {
		t.Errorf("cursor %q", c)
	}
	again := s.scan(0, kv.ScanOptions{Cursor: sc.Cursor(0)})
	if got := drain(t, again); len(got) != 1 {
		t.Errorf("resumed before the first pair: %v", got)
	}
	if ok, err := sc.Next(context.Background(), b); ok || err != nil {
		t.Error(ok, err)
	}
}

func TestBadCursors(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(100)
	sc := s.scan(0, kv.ScanOptions{Values: true, Prefix: "key"})
	next(t, sc)
	good := sc.Cursor(1)
	// try resumes a scan, whose options change may alter.
	try := func(cursor string, change func(*kv.ScanOptions)) error {
		o := kv.ScanOptions{Values: true, Prefix: "key", Cursor: cursor}
		if change != nil {
			change(&o)
		}
		sc, err := s.scans(1).Scan(context.Background(), o)
		if err == nil {
			sc.Close()
		}
		return err
	}
	if err := try(good, nil); err != nil {
		t.Fatalf("a good cursor: %v", err)
	}
	// A cursor with one changed character, or cut short, is refused.
	for i := range good {
		other := byte('A')
		if good[i] == 'A' {
			other = 'B'
		}
		if err := try(good[:i]+string(other)+good[i+1:], nil); !errors.Is(err, kv.ErrBadCursor) {
			t.Errorf("character %d changed: %v", i, err)
		}
		if err := try(good[:i], nil); i > 0 && !errors.Is(err, kv.ErrBadCursor) {
			t.Errorf("cut after %d characters: %v", i, err)
		}
	}
	v := s.Views[1].Current()
	for name, err := range map[string]error{
		"nonsense":           try("not a cursor!", nil),
		"too long":           try(strings.Repeat("A", 5000), nil),
		"other prefix":       try(good, func(o *kv.ScanOptions) { o.Prefix = "k" }),
		"keys, not values":   try(good, func(o *kv.ScanOptions) { o.Values = false }),
		"rank made by hand":  try(appendCursor(keyspace.Place{Rank: 5}, v.Cluster, [16]byte{}, 0, &kv.ScanOptions{Values: true, Prefix: "key"}), nil),
		"of another cluster": try(appendCursor(keyspace.Place{Rank: 5}, v.Cluster+1, v.CursorKey, 0, &kv.ScanOptions{Values: true, Prefix: "key"}), nil),
	} {
		if !errors.Is(err, kv.ErrBadCursor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.clear()
	if err := try(good, nil); !errors.Is(err, kv.ErrBadCursor) {
		t.Errorf("from before a clear: %v", err)
	}
}

func FuzzParseCursor(f *testing.F) {
	o := kv.ScanOptions{Prefix: "p"}
	f.Add(appendCursor(keyspace.Place{Rank: 1 << 60, Key: []byte("key")}, 1, [16]byte{5}, 3, &o))
	f.Add("")
	f.Add("AAAA")
	f.Add(appendCursor(keyspace.Place{Rank: 1 << 60, Key: []byte("key")}, 1, [16]byte{5}, 3, &o) + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseCursor(s, 1, [16]byte{5}, 3, &o)
		switch {
		case err != nil && !errors.Is(err, kv.ErrBadCursor):
			t.Fatal(err)
		case err == nil && appendCursor(p, 1, [16]byte{5}, 3, &o) != s:
			t.Fatalf("%q and %q are one cursor", s, appendCursor(p, 1, [16]byte{5}, 3, &o))
		}
	})
}

// C3: a scan goes on across epochs.
func TestScanAcrossEpochs(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(500)
	rounds := 0
	s.before = func(op string, _ int) {
		if op == "digests" {
			if rounds++; rounds%3 == 0 {
				s.Advance(nil, 0, 1, 2)
			}
		}
	}
	wantKeys(t, drain(t, s.scan(0, kv.ScanOptions{})), 500)
	if rounds < 4 {
		t.Fatalf("%d rounds: no epoch ended in mid-scan", rounds)
	}
}

func TestAClearEndsTheScan(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(2000)
	sc := s.scan(0, kv.ScanOptions{})
	next(t, sc)
	s.clear()
	wantEnd(t, sc, func(err error) bool { return errors.Is(err, kv.ErrCleared) })
}

// A clear removes what was delivered before the cursor was made. So it ends the resumed scan, too.
func TestAClearEndsAScanThatGoesOnFromACursor(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(2000)
	sc := s.scan(0, kv.ScanOptions{})
	next(t, sc)
	cursor := sc.Cursor(5)
	sc.Close() // its workers must not see what follows
	var once sync.Once
	s.before = func(op string, _ int) {
		if op == "digests" {
			once.Do(s.clear)
		}
	}
	resumed := s.scan(1, kv.ScanOptions{Cursor: cursor})
	var b kv.Batch
	if ok, err := resumed.Next(context.Background(), &b); !errors.Is(err, kv.ErrCleared) {
		t.Errorf("%v %v", ok, err)
	}
}

// D4: what a scan delivers is firm, even if the scan asks for few replicas. As many replicas agree
// with it as a write must be on.
func TestAScanAsksAsManyAsAWriteIsOn(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(50)
	all := func(v *replica.View) { v.W = 3 }
	s.Advance(all, 0, 1, 2)
	wantKeys(t, drain(t, s.scan(0, kv.ScanOptions{Options: kv.Options{R: 1}})), 50)
	if s.asked[1] == 0 || s.asked[2] == 0 {
		t.Errorf("asked the others %d and %d times", s.asked[1], s.asked[2])
	}
}

// C3: a node that has joined another mesh meanwhile holds other keys.
func TestAScanEndsWhereItsNodeMovesToAnotherCluster(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(2000)
	sc := s.scan(0, kv.ScanOptions{})
	next(t, sc)
	s.Advance(func(v *replica.View) { v.Cluster++ }, 0, 1, 2)
	wantEnd(t, sc, func(err error) bool {
		return errors.Is(err, kv.ErrUnavailable) && strings.Contains(err.Error(), "another cluster")
	})
}

func TestScanAsksAroundTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMesh(t, 3)
		s.fill(500)
		s.dead[1] = true
		wantKeys(t, drain(t, s.scan(0, kv.ScanOptions{})), 500)
		s.dead[2] = true
		sc := s.scan(0, kv.ScanOptions{})
		defer sc.Close()
		var b kv.Batch
		ok, err := sc.Next(context.Background(), &b)
		var u *kv.Unavailable
		if ok || !errors.As(err, &u) || u.Outcome != kv.None || !errors.Is(err, kv.ErrTooFewReplicas) {
			t.Errorf("no other replica answers: %v %v; want unavailable with outcome none", ok, err)
		}
		// With r=1 this node's own copy is enough.
		wantKeys(t, drain(t, s.scan(0, kv.ScanOptions{Options: kv.Options{R: 1}})), 500)
	})
}

// A member that does not answer costs a scan one wait, not one in each round.
func TestAHangingMemberIsAskedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMesh(t, 3)
		s.levels[0] = 3
		s.fill(500)
		s.hangs = 1
		wantKeys(t, drain(t, s.scan(0, kv.ScanOptions{})), 500)
		if s.asked[1] > 2 || s.asked[2] < 10 {
			t.Errorf("the one that hangs was asked %d times, the other %d times", s.asked[1], s.asked[2])
		}
	})
}

func TestPeersShareAScan(t *testing.T) {
	s := newMesh(t, 3)
	s.levels[0] = 3
	s.fill(3000)
	drain(t, s.scan(0, kv.ScanOptions{}))
	if a, b := s.asked[1], s.asked[2]; a == 0 || b == 0 || a > 2*b+2 || b > 2*a+2 {
		t.Errorf("asked %d and %d times", a, b)
	}
}

func TestScanIsGivenUp(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(100)
	s.dead[1], s.dead[2] = true, true
	ctx, cancel := context.WithCancel(context.Background())
	sc, err := s.scans(0).Scan(ctx, kv.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	var b kv.Batch
	if _, err := sc.Next(ctx, &b); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	done := make(chan struct{})
	go func() { sc.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("Close hangs")
	}
	s.nodes[0].Install(s.View(0, func(v *replica.View) { v.Self = -1 }))
	if _, err := s.scans(0).Scan(context.Background(), kv.ScanOptions{}); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("of a node that is no member: %v", err)
	}
}

func TestAScanThatHasDeliveredNothingSurvivesAClear(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(50)
	var once sync.Once
	s.before = func(op string, _ int) {
		if op == "digests" {
			once.Do(s.clear)
		}
	}
	sc := s.scan(0, kv.ScanOptions{})
	defer sc.Close()
	var b kv.Batch
	if _, err := sc.Next(context.Background(), &b); err != nil {
		t.Fatalf("%v: the clear came before the first pair", err)
	}
}

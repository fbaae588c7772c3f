package handoff

import (
	"fmt"
	"slices"
	"sort"
	"testing"
	"time"

	"pgregory.net/rapid"

	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// The descent finds every difference and nothing else, and asks for little.
func TestDescentFindsWhatDiffers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := replicatest.New(1, rankOf), replicatest.New(1, rankOf)
		// Two equal stores, and then a few keys that differ at either side.
		for i := range rapid.IntRange(0, 3000).Draw(t, "keys") {
			k := fmt.Sprintf("k%d", i)
			a.Merge(k, value(1, ""))
			b.Merge(k, value(1, ""))
		}
		differ := map[keyspace.Rank]bool{}
		for i := range rapid.IntRange(0, 40).Draw(t, "differing") {
			k := fmt.Sprintf("k%d", rapid.IntRange(0, 4000).Draw(t, "which"))
			if rapid.Bool().Draw(t, "side") {
				a.Merge(k, value(uint64(i+2), ""))
			} else {
				b.Merge(k, value(uint64(i+2), ""))
			}
			differ[seed.Hash([]byte(k)).Rank()] = true
		}
		// Step the descent, and collect the ranges that it finds.
		d := newDescent(keyspace.All())
		max := rapid.IntRange(1, 300).Draw(t, "max")
		var ask, found []keyspace.Range
		asked := map[keyspace.Range]int{}
		for {
			if ask = d.ask(ask[:0], max); len(ask) == 0 {
				break
			}
			if len(ask) > max {
				t.Fatalf("asked for %d ranges at once", len(ask))
			}
			for i, r := range ask {
				asked[r]++
				x, _ := b.Digest(1, r)
				if err := d.answer(i, x, func(r keyspace.Range) (replica.Digest, error) { return a.Digest(1, r) }); err != nil {
					t.Fatal(err)
				}
			}
			for _, r := range d.found {
				if asked[r] == 0 || r == keyspace.All() {
					t.Fatalf("%v was not asked for itself (H5)", r)
				}
				if x, _ := a.Digest(1, r); x.Records > denseRecords && r.To-r.From > 1 {
					t.Fatalf("a leaf of %v", x)
				}
				found = append(found, r)
			}
			d.found = d.found[:0]
		}
		// Each rank that differs lies in exactly one range, and each range has such a rank.
		for rank := range differ {
			if n := count(found, rank); n != 1 {
				t.Fatalf("rank %x lies in %d of the ranges found", uint64(rank), n)
			}
		}
		for _, r := range found {
			if !slices.ContainsFunc(ranks(differ), r.Contains) {
				t.Fatalf("%v was found and does not differ", r)
			}
		}
		if len(differ) == 0 && len(asked) != 1 {
			t.Fatalf("equal stores cost %d comparisons", len(asked))
		}
	})
}

func ranks(m map[keyspace.Rank]bool) (out []keyspace.Rank) {
	for r := range m {
		out = append(out, r)
	}
	return out
}

func count(found []keyspace.Range, r keyspace.Rank) (n int) {
	for _, f := range found {
		if f.Contains(r) {
			n++
		}
	}
	return n
}

// descend runs a descent to its end. It returns the ranges that differ, and what it has asked.
func descend(t *testing.T, theirs, own func(keyspace.Range) (replica.Digest, error)) (found []keyspace.Range, requests, compared int) {
	t.Helper()
	d := newDescent(keyspace.All())
	var ask []keyspace.Range
	for {
		if ask = d.ask(ask[:0], maxDigests); len(ask) == 0 {
			return d.found, requests, compared
		}
		requests++
		compared += len(ask)
		for i, r := range ask {
			x, err := theirs(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.answer(i, x, own); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// With a thousand missed writes of a million keys, a repair moves less than 1 MB, counted without a
// store. The keys that differ lie at random.
func TestDescentOfAThousandInAMillionMovesLittle(t *testing.T) {
	const keys, missed = 1_000_000, 1000
	all := make([]keyspace.Rank, keys)
	for i := range all {
		all[i] = seed.Hash(fmt.Appendf(nil, "key-%d", i)).Rank()
	}
	differ := slices.Clone(all[:missed])
	slices.Sort(all)
	slices.Sort(differ)
	within := func(s []keyspace.Rank, r keyspace.Range) int {
		from := sort.Search(len(s), func(i int) bool { return s[i] >= r.From })
		to := len(s)
		if r.To != 0 {
			to = sort.Search(len(s), func(i int) bool { return s[i] >= r.To })
		}
		return to - from
	}
	// The number of missed keys stands for the sum that differs.
	digest := func(r keyspace.Range, of int) (d replica.Digest) {
		d.Records, d.Sum[0] = uint64(within(all, r)), uint64(of*within(differ, r))
		return d
	}
	found, requests, compared := descend(t,
		func(r keyspace.Range) (replica.Digest, error) { return digest(r, 1), nil },
		func(r keyspace.Range) (replica.Digest, error) { return digest(r, 0), nil })
	tags := 0
	for _, r := range found {
		tags += within(all, r)
	}
	const record = 16 + 128 + entryOverhead
	bytes := compared*digestSize + tags*tagSize + missed*record
	t.Logf("%d requests, %d comparisons, %d tags, %d bytes", requests, compared, tags, bytes)
	if bytes > 800_000 || requests > 60 {
		t.Errorf("%d bytes in %d requests", bytes, requests)
	}
}

// Where most keys differ, the leaves are few and large. Here half of the keys are missing.
func TestDescentEndsEarlyWhereMostDiffers(t *testing.T) {
	a, b := replicatest.New(1, rankOf), replicatest.New(1, rankOf)
	for i := range 200_000 {
		a.Merge(fmt.Sprintf("k%d", i), value(1, ""))
		if i%2 == 0 {
			b.Merge(fmt.Sprintf("k%d", i), value(1, ""))
		}
	}
	found, _, compared := descend(t,
		func(r keyspace.Range) (replica.Digest, error) { return b.Digest(1, r) },
		func(r keyspace.Range) (replica.Digest, error) { return a.Digest(1, r) })
	t.Logf("%d comparisons, %d leaves", compared, len(found))
	if len(found) > 10_000 || compared > 20_000 {
		t.Errorf("%d leaves and %d comparisons for 200,000 keys of which half are missing", len(found), compared)
	}
}

// After everything that compare names was moved, both sides hold the same.
func TestDiffMakesEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := func(name string) []replica.Entry {
			var out []replica.Entry
			for rank := range keyspace.Rank(8) {
				// Up to three keys at one rank.
				for k := range rapid.IntRange(0, 3).Draw(t, name) {
					tag := version.Tag{Counter: uint64(rapid.IntRange(1, 3).Draw(t, "counter")), Incarnation: version.Incarnation(10*int(rank) + k + 1), Removed: rapid.Bool().Draw(t, "removed")}
					i := replica.Entry{Rank: rank, Key: fmt.Appendf(nil, "%d-%d", rank, k), Record: version.Record{Tag: tag}}
					if tag.Removed {
						i.Record.Owner = version.Operation{Incarnation: 1, Sequence: uint64(rapid.IntRange(0, 2).Draw(t, "owner"))}
					}
					out = append(out, i)
				}
			}
			return out
		}
		a, b := records("a"), records("b")
		var d difference
		d.compare(a, tagsOf(b))
		for _, ranks := range [][]keyspace.Rank{d.want, d.shared} {
			if !slices.IsSorted(ranks) || len(slices.Compact(slices.Clone(ranks))) != len(ranks) {
				t.Fatalf("want %v, shared %v", d.want, d.shared)
			}
		}
		// merge returns the tags and owners by key that two lists of entries come to.
		merge := func(into []replica.Entry, entries []replica.Entry) map[string]string {
			m := map[string]version.Record{}
			for _, i := range append(slices.Clone(into), entries...) {
				m[string(i.Key)] = version.Merge(m[string(i.Key)], i.Record)
			}
			out := map[string]string{}
			for k, r := range m {
				out[k] = fmt.Sprint(r.Tag, r.Owner)
			}
			return out
		}
		// Move what compare names, in both directions.
		var fetched, given []replica.Entry
		for _, i := range b {
			if slices.Contains(d.want, i.Rank) || slices.Contains(d.shared, i.Rank) {
				fetched = append(fetched, i)
			}
		}
		for _, i := range d.give {
			given = append(given, a[i])
		}
		for _, i := range a {
			if slices.Contains(d.shared, i.Rank) {
				given = append(given, i)
			}
		}
		x, y := merge(a, fetched), merge(b, given)
		if fmt.Sprint(x) != fmt.Sprint(y) {
			t.Fatalf("own %v\nother %v", x, y)
		}
	})
}

// tagsOf returns the tags that a member with these entries answers.
func tagsOf(entries []replica.Entry) (tags []replica.TagAt) {
	for _, i := range entries {
		if n := len(tags); n > 0 && tags[n-1].Rank == i.Rank {
			tags[n-1] = replica.TagAt{Rank: i.Rank, Shared: true}
		} else {
			tags = append(tags, replica.TagAt{Rank: i.Rank, Tag: i.Record.Tag, Owner: i.Record.Owner})
		}
	}
	return tags
}

func TestDiffOfEqualsIsEmpty(t *testing.T) {
	var own []replica.Entry
	for i := range 20 {
		own = append(own, replica.Entry{Rank: keyspace.Rank(i), Key: []byte{byte(i)}, Record: value(uint64(i+1), "")})
	}
	var d difference
	if d.compare(own, tagsOf(own)); len(d.want)+len(d.give)+len(d.shared) != 0 {
		t.Errorf("%+v", d)
	}
	own[7].Rank = own[8].Rank // tags do not tell which of the two keys is which
	if d.compare(own, tagsOf(own)); len(d.want)+len(d.give) != 0 || len(d.shared) != 1 || d.shared[0] != own[8].Rank {
		t.Errorf("%+v", d)
	}
}

func TestHints(t *testing.T) {
	h := newHints(3)
	h.prune(&replica.View{Generation: 1, Self: -1})
	for _, k := range []string{"a", "b", "a", "c"} {
		h.miss(1, []byte(k))
	}
	if n, over := h.count(1); n != 3 || over || h.collapse(1) {
		t.Errorf("%d keys, overflow %v: the same key twice is one", n, over)
	}
	if got := h.take(1, 2, nil); len(got) != 2 {
		t.Errorf("took %v", got)
	}
	if n, _ := h.count(1); n != 3 {
		t.Errorf("%d keys while two are on their way", n)
	}
	h.sent(1, 2)
	h.sent(7, 2) // the member is gone
	h.miss(1, []byte("d"))
	h.miss(1, []byte("e"))
	h.miss(1, []byte("f"))
	if n, over := h.count(1); n != 0 || !over {
		t.Errorf("%d keys, overflow %v past the bound", n, over)
	}
	h.miss(1, []byte("g"))
	if len(h.take(1, 5, nil)) != 0 || !h.collapse(1) || h.collapse(1) {
		t.Error("an overflow is not collapsed exactly once")
	}
	h.miss(1, []byte("h"))
	h.miss(2, []byte("h"))
	h.miss(9, []byte("h")) // of an epoch that this node has not adopted yet
	v := &replica.View{Generation: 1, Members: []replica.Member{{Name: "me", Incarnation: 3}, {Name: "x", Incarnation: 1}}}
	h.prune(v)
	for i, want := range map[version.Incarnation]int{1: 1, 2: 0, 9: 1} {
		if n, _ := h.count(i); n != want {
			t.Errorf("incarnation %d: %d hints, want %d", i, n, want)
		}
	}
	v.Members = append(v.Members, replica.Member{Name: "y", Incarnation: 9})
	h.prune(v)
	v.Members = v.Members[:2]
	h.prune(v)
	if n, _ := h.count(9); n != 0 {
		t.Errorf("%d hints for the newest member that is gone", n)
	}
	h.prune(&replica.View{Generation: 2, Members: v.Members})
	if n, _ := h.count(1); n != 0 {
		t.Error("hints outlived a clear")
	}
}

// The goroutine that reads from the network notes the hints. So a key that is already noted must
// cost no allocation.
func TestANotedKeyCostsNoAllocation(t *testing.T) {
	h := newHints(10)
	key := []byte("key")
	h.miss(1, key)
	if n := testing.AllocsPerRun(100, func() { h.miss(1, key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPacer(t *testing.T) {
	now := time.Unix(0, 0)
	p := newPacer(1000)
	for _, c := range []struct {
		pass time.Duration
		size int
		want time.Duration
	}{
		{0, 50, 0},                         // within the burst
		{0, 50, 50 * time.Millisecond},     // 100 bytes take 100 ms, and may be 50 ms ahead
		{0, 1000, 1050 * time.Millisecond}, // the burst is used up
		{5 * time.Second, 50, 0},           // idle time is not saved up
		{0, 100, 100 * time.Millisecond},
	} {
		now = now.Add(c.pass)
		if got := p.after(now, c.size); got != c.want {
			t.Errorf("%d bytes: wait %v, want %v", c.size, got, c.want)
		}
	}
	if newPacer(0) != nil || newPacer(-1) != nil {
		t.Error("no rate must mean no pacing")
	}
}

func TestTurns(t *testing.T) {
	now := time.Unix(0, 0)
	v := &replica.View{Slots: 4, Members: []replica.Member{
		{Name: "0", Incarnation: 4}, {Name: "a", Incarnation: 1}, {Name: "b", Pending: 2}, {Name: "c", Incarnation: 3},
	}}
	turns := newTurn(time.Second, v, now)
	if i := turns.next(v, now); i != 0 {
		t.Errorf("%d before its time", i)
	}
	for _, want := range []version.Incarnation{1, 3, 1, 3} {
		now = now.Add(time.Second)
		if i := turns.next(v, now); i != want {
			t.Errorf("turn of %d, want %d", i, want)
		}
	}
	if i := turns.next(&replica.View{Self: -1}, now.Add(time.Hour)); i != 0 {
		t.Errorf("turn of %d where nobody is", i)
	}
	v.Members[0].Name = "d"
	if i := newTurn(time.Second, v, now).next(v, now.Add(1499*time.Millisecond)); i != 0 {
		t.Error("the third of four takes its first turn with the others")
	}
	if i := newTurn(-1, v, now).next(v, now.Add(time.Hour)); i != 0 {
		t.Errorf("turn of %d with repairs off", i)
	}
}

func TestConfig(t *testing.T) {
	if _, err := New(Config{HintLimit: -1}); err == nil {
		t.Error("an empty configuration was taken")
	}
	c := Config{}.withDefaults()
	if c.HintLimit != 100_000 || c.RepairEvery <= 0 || c.PurgeBatch <= 0 || c.Logger == nil || c.CheckEvery != time.Second {
		t.Errorf("%+v", c)
	}
}

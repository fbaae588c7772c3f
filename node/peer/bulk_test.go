package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/handoff"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// filled runs a test in a world whose second member holds n keys. The test gets the keys in the
// order of their ranks.
func filled(t *testing.T, n int, test func(w *world, keys []string)) {
	t.Helper()
	inWorld(t, 3, func(w *world) {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprint("key", i)
			w.nodes[1].put(keys[i], uint64(i+1), "value of "+keys[i])
		}
		slices.SortFunc(keys, func(a, b string) int {
			x, y := seed.Hash([]byte(a)).Rank(), seed.Hash([]byte(b)).Rank()
			if x < y {
				return -1
			}
			return 1
		})
		test(w, keys)
	})
}

// ask returns what a bulk request of the first member to the second one needs: client, view and
// member.
func (w *world) ask() (Client, *replica.View, *replica.Member) {
	v := w.nodes[0].Current()
	return w.nodes[0].client, v, &v.Members[1]
}

// Hand-off and scans see in a member's answers what its store holds.
func TestBulkRequestsShowTheStore(t *testing.T) {
	filled(t, 500, func(w *world, keys []string) {
		c, v, to := w.ask()
		ctx, all := w.soon(), keyspace.All()
		half := keyspace.Range{To: 1 << 63}
		digests, err := c.Digests(ctx, v, to, []keyspace.Range{all, half}, nil)
		whole, err2 := w.nodes[1].store.Digest(firstEpoch, all)
		lower, err3 := w.nodes[1].store.Digest(firstEpoch, half)
		if err := errors.Join(err, err2, err3); err != nil || len(digests) != 2 || digests[0] != whole || digests[1] != lower {
			t.Errorf("%+v, %v", digests, err)
		}

		var tags []replica.TagAt
		for at, pages := keyspace.Rank(0), 1; ; pages++ {
			list, next, err := c.Tags(ctx, v, to, keyspace.Range{From: at}, 200, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tags = append(tags, list...); next == 0 {
				if pages != 3 {
					t.Errorf("%d pages of 200", pages)
				}
				break
			}
			at = next
		}
		var page replica.Page
		var got []string
		for at := (keyspace.Place{}); ; {
			if err := c.Copy(ctx, v, to, keyspace.Range{From: at.Rank}, at.Key, 4000, &page); err != nil {
				t.Fatal(err)
			}
			for i := range page.Entries {
				e := &page.Entries[i]
				if e.Rank != seed.Hash(e.Key).Rank() || string(e.Record.Value) != "value of "+string(e.Key) || e.Record.Tag != tags[len(got)].Tag || e.Rank != tags[len(got)].Rank {
					t.Fatalf("%q: %+v beside %+v", e.Key, e, tags[len(got)])
				}
				got = append(got, string(e.Key))
			}
			if page.Next.Ends(all) {
				break
			}
			at = keyspace.Place{Rank: page.Next.Rank, Key: slices.Clone(page.Next.Key)}
		}
		if !slices.Equal(got, keys) {
			t.Errorf("%d keys of %d, or in another order", len(got), len(keys))
		}

		ranks := []keyspace.Rank{seed.Hash([]byte(keys[3])).Rank(), seed.Hash([]byte(keys[7])).Rank()}
		if err := c.Fetch(ctx, v, to, ranks, nil, &page); err != nil || len(page.Entries) != 2 || string(page.Entries[1].Key) != keys[7] {
			t.Errorf("%d entries, %v", len(page.Entries), err)
		}
	})
}

// Records that do not fit into one answer are left for the next request.
func TestAFetchIsCutWhereItIsFull(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		c, v, to := w.ask()
		const records = 3000
		value := strings.Repeat("v", 1024)
		ranks := make([]keyspace.Rank, records)
		for i := range ranks {
			key := fmt.Sprint("key", i)
			w.nodes[1].put(key, uint64(i+1), value)
			ranks[i] = seed.Hash([]byte(key)).Rank()
		}
		slices.Sort(ranks)
		var page replica.Page
		if err := c.Fetch(w.soon(), v, to, ranks, nil, &page); err != nil {
			t.Fatal(err)
		}
		n := len(page.Entries)
		if n == 0 || n == records || page.Next.Rank != ranks[n] || len(page.Next.Key) != 0 {
			t.Fatalf("%d entries, next %+v", n, page.Next)
		}
		if err := c.Copy(w.soon(), v, to, keyspace.All(), nil, 1<<30, &page); err != nil || len(page.Entries) < n/2 || len(page.Entries) > n+1 {
			t.Errorf("a copy without a bound: %d entries, %v", len(page.Entries), err)
		}
		if err := c.Fetch(w.soon(), v, to, ranks[n:], nil, &page); err != nil || len(page.Entries) != records-n || page.Next.Rank != 0 {
			t.Errorf("then %d entries, next %+v, %v", len(page.Entries), page.Next, err)
		}
	})
}

// One answer holds a bounded number of tags, whatever the request asked for.
func TestTagsAreBounded(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		c, v, to := w.ask()
		const more = tagLimit + 10
		for i := range more {
			w.nodes[1].put(fmt.Sprint("key", i), uint64(i+1), "")
		}
		tags, next, err := c.Tags(w.soon(), v, to, keyspace.All(), 1<<40, nil)
		if err != nil || len(tags) != tagLimit || next == 0 {
			t.Fatalf("%d tags, next %x, %v", len(tags), next, err)
		}
		rest, next, err := c.Tags(w.soon(), v, to, keyspace.Range{From: next}, 1<<40, nil)
		if err != nil || len(rest) != more-tagLimit || next != 0 {
			t.Errorf("then %d tags, next %x, %v", len(rest), next, err)
		}
	})
}

// A push is merged, and the receiver's clock follows its counters.
func TestAPushIsMerged(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		c, v, to := w.ask()
		entries := []replica.Entry{{Key: []byte("k"), Record: version.Record{Tag: version.Tag{Generation: 1, Counter: 1 << 40, Incarnation: 9}, Value: []byte("v")}}}
		if err := c.Push(w.soon(), v, to, entries); err != nil || w.nodes[1].holds("k") != "v" {
			t.Errorf("%v, and the receiver holds %q", err, w.nodes[1].holds("k"))
		}
		if now := w.nodes[1].Counter.Now(); now < 1<<40 {
			t.Errorf("the receiver's clock is at %d", now)
		}
		_, _ = Of(v).Holding(w.soon(), 1)
		if now := w.nodes[0].Counter.Now(); now < 1<<40 {
			t.Errorf("the clock of the sender of a later request is at %d", now)
		}
		later := slices.Clone(entries)
		later[0].Record.Tag.Generation++
		if err := c.Push(w.soon(), v, to, later); !errors.Is(err, replica.ErrEpoch) {
			t.Errorf("a push of a generation that has not begun: %v", err)
		}
		w.nodes[1].store.Advance(firstEpoch+1, 2) // a clear
		w.begin(firstEpoch+1, 1)
		if err := c.Push(w.soon(), v, to, entries); !errors.Is(err, replica.ErrEpoch) {
			t.Errorf("a push of the generation before: %v", err)
		}
	})
}

func TestHoldIsYesOrNo(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		c, v, to := w.ask()
		for id, want := range map[uint64]bool{2: true, 3: false} {
			if yes, err := c.Hold(w.soon(), v, to, &handoff.List{ID: id, At: firstEpoch}); yes != want || err != nil {
				t.Errorf("%v, %v", yes, err)
			}
		}
		w.net.Kill(w.nodes[1].address())
		if yes, err := c.Hold(w.soon(), v, to, &handoff.List{ID: 2, At: firstEpoch}); yes || err == nil {
			t.Errorf("a list at a member that was killed: %v, %v", yes, err)
		}
	})
}

// A bulk request that finds its peer behind updates the peer first. If its sender is behind, the
// request fails because its epoch is over, and the sender learns the next epoch.
func TestBulkRequestsAcrossEpochs(t *testing.T) {
	filled(t, 10, func(w *world, _ []string) {
		m := w.nodes[0]
		c, old, to := w.ask()
		all := []keyspace.Range{keyspace.All()}
		w.begin(firstEpoch+1, 0)
		if _, err := c.Digests(w.soon(), old, to, all, nil); !errors.Is(err, replica.ErrEpoch) {
			t.Errorf("under a view that is over: %v", err)
		}
		if len(m.updatedPeers) != 0 {
			t.Error("a request under a view that is over is sent all the same")
		}
		c, v, to := w.ask()
		if d, err := c.Digests(w.soon(), v, to, all, nil); err != nil || d[0].Records != 10 || len(m.updatedPeers) != 1 {
			t.Errorf("%+v, %v, the peer was updated %d times", d, err, len(m.updatedPeers))
		}

		w.begin(firstEpoch+2, 1)
		if _, err := c.Digests(w.soon(), v, to, all, nil); !errors.Is(err, replica.ErrEpoch) || len(m.learned) != 1 {
			t.Errorf("%v, learned %q", err, m.learned)
		}

		w.begin(firstEpoch+3, 0)
		c, v, to = w.ask()
		m.updateErr = errors.New("no way there")
		if _, err := c.Digests(w.soon(), v, to, all, nil); !errors.Is(err, m.updateErr) {
			t.Errorf("a peer that cannot be updated: %v", err)
		}
		m.updateErr, m.fruitless, m.updatedPeers = nil, true, nil
		if _, err := c.Digests(w.soon(), v, to, all, nil); !errors.Is(err, replica.ErrEpoch) || len(m.updatedPeers) != maxTries {
			t.Errorf("a peer that stays behind: %v, after %d attempts", err, len(m.updatedPeers))
		}
	})
}

// An improper answer is an error.
func TestBulkAnswersThatAreNone(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		c, v, to := w.ask()
		all := []keyspace.Range{keyspace.All()}
		reply := func(status wire.Status, e version.Epoch) scripted {
			return func([]byte) []byte { return wire.AppendReply(nil, status, 1, 0, e) }
		}
		for what, s := range map[string]struct {
			answer scripted
			want   func(error) bool
		}{
			"nonsense":                   {func([]byte) []byte { return []byte{1} }, func(err error) bool { return strings.Contains(err.Error(), "a reply of n2") }},
			"a refusal":                  {reply(wire.NotActive, firstEpoch), func(err error) bool { return strings.Contains(err.Error(), "n2 refused") }},
			"an answer of another epoch": {reply(wire.OK, firstEpoch+1), func(err error) bool { return errors.Is(err, replica.ErrEpoch) }},
			"two reports of one": {func([]byte) []byte {
				return wire.AppendDigests(wire.AppendReply(nil, wire.OK, 1, 0, firstEpoch), make([]replica.Digest, 2))
			}, func(err error) bool { return strings.Contains(err.Error(), "2 digests in a report") }},
			"no digest": {reply(wire.OK, firstEpoch), func(err error) bool { return errors.Is(err, wire.ErrMalformed) }},
		} {
			w.answers(w.nodes[1].address(), s.answer)
			if _, err := Of(v).Holding(w.soon(), 1); err == nil || !s.want(err) {
				t.Errorf("%s: %v", what, err)
			}
		}
		stranger := *to
		stranger.Incarnation = 12345
		if _, err := c.Digests(w.soon(), v, &stranger, all, nil); err == nil || !strings.Contains(err.Error(), "n2 is no member") {
			t.Errorf("a member with an unknown incarnation: %v", err)
		}
		vacant := *to
		vacant.Incarnation = 0
		if _, err := c.Digests(w.soon(), v, &vacant, all, nil); err == nil || !strings.Contains(err.Error(), "n2 is no member") {
			t.Errorf("a vacant slot: %v", err)
		}
		w.net.Pause(w.nodes[2].address())
		began := time.Now()
		if _, err := c.Digests(w.soon(), v, &v.Members[2], all, nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != askTime {
			t.Errorf("a silent member: %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := c.Digests(ctx, v, to, all, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a request that is given up: %v", err)
		}
	})
}

// A member is reachable when it has answered lately and owes no answer.
func TestWhoIsReachable(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		c, v, to := w.ask()
		if c.Reachable(v, to) {
			t.Error("a member that was never asked is reachable")
		}
		w.set("k", "v")
		if !c.Reachable(v, to) {
			t.Error("a member that has just answered is not reachable")
		}
		stranger := *to
		stranger.Incarnation = 12345
		if c.Reachable(v, &stranger) {
			t.Error("an unknown incarnation is reachable")
		}
		link := w.nodes[0].present.Load().links[1]
		if link.suspect(time.Now()); c.Reachable(v, to) {
			t.Error("a suspected member is reachable")
		}
		if link.trust(); !c.Reachable(v, to) {
			t.Error("a member that is not suspected any more is not reachable")
		}
		w.net.Kill(w.nodes[1].address())
		_, _, _ = w.nodes[0].coordinator.Get(w.soon(), nil, []byte("k"), kv.Options{R: kv.QuorumAll})
		if c.Reachable(v, to) {
			t.Error("a member that has left a call unanswered is reachable")
		}
	})
}

// An operator is shown what one member holds, or why the member shows nothing.
func TestWhatAnOperatorIsShown(t *testing.T) {
	inWorld(t, 4, func(w *world) {
		w.nodes[0].put("k", 1, "at the first")
		w.nodes[1].put("k", 2, "at the second")
		w.nodes[2].pending = true
		w.begin(firstEpoch + 1)
		m := w.nodes[0]
		v := m.Current()
		v.Members[3].Incarnation = 0 // vacant
		for i, want := range map[int]string{0: "at the first", 1: "at the second"} {
			r, err := m.present.Load().Record(w.soon(), i, []byte("k"))
			if err != nil || string(r.Value) != want {
				t.Errorf("the record of member %d: %q, %v", i, r.Value, err)
			}
			if d, err := m.present.Load().Holding(w.soon(), i); err != nil || d.Records != 1 {
				t.Errorf("the digest of member %d: %+v, %v", i, d, err)
			}
		}
		if r, err := m.present.Load().Record(w.soon(), 1, []byte("nothing")); err != nil || !r.Tag.IsZero() {
			t.Errorf("of a key that the member does not hold: %+v, %v", r, err)
		}
		if _, err := m.present.Load().Record(w.soon(), 2, []byte("k")); !errors.Is(err, errPending) {
			t.Errorf("a record of a member that is still copying: %v", err)
		}
		if d, err := m.present.Load().Holding(w.soon(), 2); err != nil || d.Records != 0 {
			t.Errorf("the digest of a member that is still copying: %+v, %v", d, err)
		}
		_, err := m.present.Load().Record(w.soon(), 3, []byte("k"))
		_, err2 := m.present.Load().Holding(w.soon(), 3)
		if !errors.Is(err, errVacant) || !errors.Is(err2, errVacant) {
			t.Errorf("a member that is gone: %v, %v", err, err2)
		}
		w.begin(firstEpoch+2, 1)
		if _, err := m.present.Load().Record(w.soon(), 1, []byte("k")); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("a record of a member at another epoch: %v", err)
		}
		w.answers(w.nodes[1].address(), func([]byte) []byte { return nil })
		if _, err := m.present.Load().Record(w.soon(), 1, []byte("k")); err == nil {
			t.Error("an empty answer is a record")
		}
	})
}

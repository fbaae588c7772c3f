package peer

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"viakv/node/wire"
	"viakv/quorum/version"
)

// A window says of each number within it whether the number was seen before. It never calls a
// number new that was seen before.
func TestWindowBesideASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ws windows
		seen, newest := map[uint64]bool{}, uint64(0)
		for _, step := range rapid.SliceOfN(rapid.IntRange(-windowSize-10, windowSize+10), 1, 200).Draw(t, "steps") {
			n := uint64(max(1, int(newest)+step))
			inside := n > newest || n+windowSize > newest
			if got, want := ws.first(7, n), inside && !seen[n]; got != want {
				t.Fatalf("%d with newest %d: first is %v, want %v", n, newest, got, want)
			}
			seen[n], newest = true, max(newest, n)
			if rapid.IntRange(0, 4).Draw(t, "forget") == 0 && inside {
				ws.forget(7, n)
				if delete(seen, n); !ws.first(7, n) {
					t.Fatalf("%d is not the first after it was forgotten", n)
				}
				seen[n] = true
			}
		}
	})
}

func TestWindowsAreApart(t *testing.T) {
	var ws windows
	if !ws.first(1, 5) || !ws.first(2, 5) || ws.first(1, 5) || ws.first(2, 5) {
		t.Error("two incarnations share a window")
	}
	ws.keep(func(i version.Incarnation) bool { return i == 2 })
	if !ws.first(1, 5) || ws.first(2, 5) {
		t.Error("the wrong window was dropped")
	}
	if !ws.first(3, math.MaxUint64) || ws.first(3, math.MaxUint64) || ws.first(3, 1) {
		t.Error("a hostile counter breaks the window")
	}
	ws.forget(4, 1) // of a sender without a window
	ws.forget(3, 1) // too old to be told apart
	if ws.first(3, 1) {
		t.Error("a number below the window was forgotten")
	}
}

// offer returns an encoded StoreIf that the first member sends to the second one, and the tag that
// it offers.
func (w *world) offer(have version.Tag, counter uint64, at version.Epoch) (request []byte, tag version.Tag) {
	tag = version.Tag{Generation: w.generation, Counter: counter, Incarnation: w.nodes[0].incarnation()}
	return wire.AppendStoreIf(wire.AppendRequest(nil, wire.StoreIf, w.stamp(at)), have, []byte("k"), &version.Record{Tag: tag, Value: []byte("v")}), tag
}

// inBothWays runs a test of offers twice: with offers that are answered in place, and with offers
// that Serve answers.
func inBothWays(t *testing.T, test func(t *testing.T, w *world, delivers func(want wire.Status, request []byte))) {
	t.Helper()
	for _, inPlace := range []bool{true, false} {
		name := "Serve"
		if inPlace {
			name = "ServeInline"
		}
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				test(t, w, func(want wire.Status, request []byte) {
					t.Helper()
					if inPlace {
						w.inline(want, request)
					} else {
						w.serve(want, request)
					}
				})
			})
		})
	}
}

// D10: the network delivers an offer twice. When the copy arrives, the peer may hold something
// newer, or be at a later epoch. If the copy were refused for that, the sender would take it that
// nothing has been stored. It would then write the value a second time, under another tag.
func TestACopyOfAnOfferIsUnknown(t *testing.T) {
	inBothWays(t, func(_ *testing.T, w *world, delivers func(wire.Status, []byte)) {
		first, tag := w.offer(version.Tag{}, 1<<40, firstEpoch)
		delivers(wire.Same, first)
		delivers(wire.Unknown, first)
		next, _ := w.offer(tag, 1<<40+1, firstEpoch)
		refused, _ := w.offer(version.Tag{}, 1<<40+2, firstEpoch)
		stale, _ := w.offer(tag, 1<<40+3, firstEpoch)
		delivers(wire.Same, next)
		delivers(wire.Unknown, first)
		delivers(wire.OK, refused)
		delivers(wire.Unknown, refused)
		w.begin(firstEpoch + 1)
		delivers(wire.Unknown, first)
		delivers(wire.Unknown, refused)
		delivers(wire.Stale, stale) // nothing was stored of this one, and nothing will be
		delivers(wire.Unknown, stale)
	})
}

// A peer that is behind has stored nothing, and is sent the same bytes again.
func TestAnOfferIsSentAgainToAPeerThatWasBehind(t *testing.T) {
	inBothWays(t, func(_ *testing.T, w *world, delivers func(wire.Status, []byte)) {
		w.generation++
		request, _ := w.offer(version.Tag{}, 1<<40, firstEpoch+1)
		delivers(wire.Behind, request)
		w.begin(firstEpoch + 1)
		delivers(wire.Same, request)
		delivers(wire.Unknown, request)
	})
}

// An offer that finds the store between two epochs has done nothing. It may still be the first copy
// at the next epoch.
func TestAnOfferBetweenTwoEpochs(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[1]
		request, _ := w.offer(version.Tag{}, 1<<40, firstEpoch)
		m.store.Advance(firstEpoch+1, w.generation)
		if _, ok := m.server.ServeInline(nil, request); ok {
			t.Error("an offer between two epochs is answered in place")
		}
		time.AfterFunc(100*time.Millisecond, func() { m.enter(firstEpoch + 1) })
		w.serve(wire.Stale, request)
		w.serve(wire.Unknown, request)
	})
}

// Only the incarnation that an offer is addressed to can promise that nothing was stored. Only the
// incarnation that minted a tag may offer it.
func TestWhoseOfferItIs(t *testing.T) {
	inBothWays(t, func(_ *testing.T, w *world, delivers func(wire.Status, []byte)) {
		stamp := w.stamp(firstEpoch - 1)
		stamp.To += 1000
		record := version.Record{Tag: version.Tag{Counter: 9, Incarnation: stamp.From}, Value: []byte("v")}
		bytes := func() []byte {
			return wire.AppendStoreIf(wire.AppendRequest(nil, wire.StoreIf, stamp), version.Tag{}, []byte("k"), &record)
		}
		delivers(wire.WrongDestination, bytes()) // not stale
		stamp = w.stamp(firstEpoch - 1)
		stamp.From = 12345
		record.Tag.Incarnation = stamp.From
		delivers(wire.WrongDestination, bytes()) // no promise: the sender has no window
		stamp = w.stamp(firstEpoch - 1)
		delivers(wire.Malformed, bytes())
	})
}

// A new epoch drops the windows of the incarnations that it does not know.
func TestAnEpochDropsTheWindowsOfStrangers(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[1]
		m.offers.first(12345, 1)
		m.offers.first(w.nodes[0].incarnation(), 1)
		w.begin(firstEpoch + 1)
		if !m.offers.first(12345, 1) || m.offers.first(w.nodes[0].incarnation(), 1) {
			t.Error("the wrong window was dropped")
		}
	})
}

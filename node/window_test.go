package node

import (
	"context"
	"math"
	"testing"

	"pgregory.net/rapid"

	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum/version"
)

// A window says of each number within it whether it has been seen, and never calls anything new that has been.
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
	ws.forget(4, 1) // of a stranger
	ws.forget(3, 1) // too old to be told apart
	if ws.first(3, 1) {
		t.Error("a number below the window was forgotten")
	}
}

// offer is a write that node 0 offers to node 1, as bytes.
func (m *mesh) offer(have version.Tag, counter uint64, later version.Epoch) (request []byte, tag version.Tag) {
	from, to := m.nodes[0].life.Load().state.Load(), m.nodes[1].life.Load().state.Load()
	stamp := wire.Stamp{Cluster: uint64(from.topology.Cluster), Epoch: from.view.Epoch + later, To: to.self, From: from.self}
	tag = version.Tag{Generation: from.view.Generation + version.Generation(later), Counter: counter, Incarnation: from.self}
	return wire.AppendStoreIf(wire.AppendRequest(nil, wire.StoreIf, stamp), have, []byte("k"), &version.Record{Tag: tag, Value: []byte("v")}), tag
}

// D10: the network delivers an offer twice. By the time of the copy the peer may hold something newer, or be at a later epoch: were it refused for that, the
// sender would take it that nothing has been stored, and write the value a second time, under another tag.
func TestACopyOfAnOfferIsUnknown(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		ctx := context.Background()
		first, tag := m.offer(version.Tag{}, 1<<40, 0)
		m.delivers(wire.Same, first)
		m.delivers(wire.Unknown, first)
		next, _ := m.offer(tag, 1<<40+1, 0)
		refused, _ := m.offer(version.Tag{}, 1<<40+2, 0)
		stale, _ := m.offer(tag, 1<<40+3, 0)
		m.delivers(wire.Same, next)
		m.delivers(wire.Unknown, first)
		m.delivers(wire.OK, refused)
		m.delivers(wire.Unknown, refused)
		if err := m.nodes[0].Clear(ctx, kv.Options{}); err != nil {
			t.Fatal(err)
		}
		m.delivers(wire.Unknown, first)
		m.delivers(wire.Unknown, refused)
		m.delivers(wire.Stale, stale) // of this one nothing was stored, and will not be
		m.delivers(wire.Unknown, stale)
	})
}

// A peer that is behind has stored nothing and is sent the same bytes again.
func TestAnOfferIsSentAgainToAPeerThatWasBehind(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		request, _ := m.offer(version.Tag{}, 1<<40, 1)
		m.delivers(wire.Behind, request)
		if err := m.nodes[0].Clear(context.Background(), kv.Options{}); err != nil {
			t.Fatal(err)
		}
		m.delivers(wire.Same, request)
		m.delivers(wire.Unknown, request)
	})
}

// Only the incarnation that an offer is addressed to can promise that nothing was stored, and only the one that minted a tag may offer it.
func TestWhoseOfferItIs(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		from, to := m.nodes[0].life.Load().state.Load(), m.nodes[1].life.Load().state.Load()
		stamp := wire.Stamp{Cluster: uint64(from.topology.Cluster), Epoch: from.view.Epoch - 1, To: to.self + 1000, From: from.self}
		record := version.Record{Tag: version.Tag{Counter: 9, Incarnation: from.self}, Value: []byte("v")}
		bytes := func() []byte {
			return wire.AppendStoreIf(wire.AppendRequest(nil, wire.StoreIf, stamp), version.Tag{}, []byte("k"), &record)
		}
		m.delivers(wire.WrongDestination, bytes()) // and not stale
		stamp.To, stamp.From = to.self, 12345
		record.Tag.Incarnation = stamp.From
		m.delivers(wire.WrongDestination, bytes()) // and no promise: there is no window for it
		stamp.From = from.self
		m.delivers(wire.Malformed, bytes())
	})
}

package quorum

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// kinds counts a node's calls by kind, and lets them through.
func (nd *node) kinds() map[Kind]int {
	seen := map[Kind]int{}
	nd.filter = func(c *Call) bool {
		seen[c.Kind]++
		return false
	}
	return seen
}

func TestAWriteTakesOneRoundWhereOnePeerCompletesBothQuorums(t *testing.T) {
	for n, fast := range map[int]bool{1: false, 2: true, 3: true, 4: false, 5: false} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			inMesh(t, n, func(t *testing.T, m *mesh) {
				calls := m.nodes[0].kinds()
				for i := range 3 {
					tag := m.nodes[0].mustSet("k", fmt.Sprint("v", i))
					synctest.Wait()
					for j, r := range m.Stores {
						if r.Record("k").Tag != tag {
							t.Errorf("replica %d holds %v, want %v", j, r.Record("k").Tag, tag)
						}
					}
				}
				stores := n - 1
				if fast {
					stores--
				}
				if (calls[StoreIf] == 3) != fast || (calls[ReadTag] == 0) != (fast || n == 1) || calls[Store] != 3*stores {
					t.Errorf("calls by kind: %v", calls)
				}
				if got := m.nodes[0].Stats().Fast == 3; got != fast {
					t.Errorf("%+v", m.nodes[0].Stats())
				}
			})
		})
	}
}

// Where a request asks for other quorums, no single peer completes both phases. An r below the
// mesh's R makes no difference: a write asks R replicas whatever its r is.
func TestOtherQuorumsTakeTwoRounds(t *testing.T) {
	for _, o := range []kv.Options{{W: 1}, {W: 3}, {R: 3}, {R: 1, W: 3}} {
		m := newMesh(t, 3)
		calls := m.nodes[0].kinds()
		if _, err := m.nodes[0].Set(bg, []byte("k"), []byte("v"), o); err != nil || calls[StoreIf] != 0 {
			t.Errorf("r=%d w=%d: %v, calls %v", o.R, o.W, err, calls)
		}
	}
}

// The peer refuses the offer when it holds another record, above or below. Its answer then serves
// as that of a query.
func TestARefusedOfferGoesOnAsAQuery(t *testing.T) {
	for name, there := range map[string]version.Tag{"above": {Counter: 70, Incarnation: 2}, "below": {Counter: 1, Incarnation: 2}} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, func(t *testing.T, m *mesh) {
				m.nodes[0].mustSet("other", "x") // two sets move a's clock past the counter of "below"
				m.nodes[0].mustSet("other", "y")
				synctest.Wait()
				m.Stores[1].Hold("k", version.Record{Tag: there, Value: []byte("theirs")})
				calls := m.nodes[0].kinds()
				tag := m.nodes[0].mustSet("k", "mine")
				synctest.Wait()
				if calls[StoreIf] != 1 || calls[ReadTag] != 0 || calls[Store] != 2 {
					t.Errorf("calls by kind: %v", calls)
				}
				for i, r := range m.Stores {
					rec := r.Record("k")
					if rec.Tag != tag || string(rec.Value) != "mine" || rec.Vector.Counter(2) != there.Counter {
						t.Errorf("replica %d: %v %q, has seen %v", i, rec.Tag, rec.Value, rec.Vector)
					}
				}
			})
		})
	}
}

// A peer at a newer epoch has certainly refused an offer. The write starts over there, under
// another tag.
func TestAnOfferAtAnOldEpochStartsOver(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		moved := false
		m.nodes[0].filter = func(c *Call) bool {
			if c.Kind == StoreIf && !moved {
				moved = true
				m.Advance(func(v *replica.View) { v.Generation++ }, 1, 2)
				go func() { m.nodes[0].Install(m.View(0, func(v *replica.View) { v.Generation++ })) }()
			}
			return false
		}
		// If a phase had begun, the clear between the phases would make the outcome unknown.
		tag := m.nodes[0].mustSet("k", "v")
		if tag.Generation != 1 || tag.Counter != 2 {
			t.Errorf("stored as %v", tag)
		}
	})
}

// A peer takes the offer, and its answer is lost. The write goes on with the other members, under
// the tag that was offered.
func TestALostAnswerToAnOfferIsNoSecondWrite(t *testing.T) {
	for name, lose := range map[string]func(*node, *Call){
		"silent": (*node).swallow,
		"broken": func(_ *node, c *Call) { fail(c) },
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, func(t *testing.T, m *mesh) {
				m.nodes[0].mustSet("k", "v")
				synctest.Wait()
				m.nodes[0].filter = func(c *Call) bool {
					if c.Kind != StoreIf {
						return false
					}
					if stored, _, err := m.Stores[1].PutIf(1, c.Key, c.Have, c.Record); !stored || err != nil {
						t.Errorf("not stored: %v", err)
					}
					lose(m.nodes[0], c)
					return true
				}
				tag := m.nodes[0].mustSet("k", "w")
				synctest.Wait()
				for i, r := range m.Stores {
					if r.Record("k").Tag != tag || tag.Counter != 2 {
						t.Errorf("replica %d holds %v, answered as %v", i, r.Record("k").Tag, tag)
					}
				}
			})
		})
	}
}

// The answer is lost, too, and meanwhile another client has read the value and removed it. The
// write took place.
func TestAnOfferThatWasTakenAndRemovedTookPlace(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.nodes[0].filter = func(c *Call) bool {
			if c.Kind != StoreIf {
				return false
			}
			_, _, _ = m.Stores[1].PutIf(1, c.Key, c.Have, c.Record)
			if err := m.nodes[1].RemoveHere(bg, c.Key, kv.Options{}); err != nil {
				t.Errorf("remove: %v", err)
			}
			return fail(c)
		}
		m.nodes[0].mustSet("k", "v")
		if _, _, err := m.nodes[2].Get(bg, nil, []byte("k"), kv.Options{}); !errors.Is(err, kv.ErrMissing) {
			t.Errorf("the removed value is back: %v", err)
		}
	})
}

// D10: c's write is answered. Node a has missed it and all that came before, so the tag of a's
// write is below. b refuses a's offer, and that answer is lost. If a's write went on under this
// tag, it would be answered after c's, and no read would ever return it.
func TestAnOvertakenOfferIsUnknown(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.nodes[2].filter = func(c *Call) bool { return c.Member == 0 && fail(c) }
		for i := range 5 {
			m.nodes[2].mustSet("k", fmt.Sprint("theirs", i))
		}
		synctest.Wait()
		m.nodes[0].filter = func(c *Call) bool { return c.Kind == StoreIf && fail(c) }
		_, err := m.nodes[0].Set(bg, []byte("k"), []byte("mine"), kv.Options{})
		if err == nil {
			m.nodes[1].wantValue("k", "mine")
			return
		}
		wantOutcome(t, err, kv.Unknown)
		m.nodes[1].wantValue("k", "theirs4")
	})
}

// The same, but without a fault: b is only slow. Its answer tells what became of the offer, and the
// write takes place. It takes two rounds if b has refused the offer, and one if b has taken it.
func TestAnOvertakenOfferWaitsForASlowPeer(t *testing.T) {
	for name, refused := range map[string]bool{"refused": true, "taken": false} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, func(t *testing.T, m *mesh) {
				theirs := version.Record{Tag: version.Tag{Counter: 50, Incarnation: 3}, Value: []byte("theirs")}
				m.Stores[2].Hold("k", theirs)
				if refused {
					m.Stores[1].Hold("k", theirs)
				}
				m.nodes[0].filter = func(c *Call) bool {
					if c.Kind != StoreIf {
						return false
					}
					offered := *c
					record := c.Record.Clone()
					m.nodes[0].swallow(c)
					go func() {
						time.Sleep(50 * time.Millisecond) // long after HedgeAfter
						stored, here, err := m.Stores[1].PutIf(1, offered.Key, offered.Have, &record)
						if stored == refused || err != nil {
							t.Errorf("stored: %v, %v", stored, err)
						}
						if !m.nodes[0].Cancel(c) {
							t.Error("the offer was given up")
							return
						}
						if c.Status, c.Reply = OK, here; stored {
							c.Status = Same
						}
						c.End()
					}()
					return true
				}
				tag := m.nodes[0].mustSet("k", "mine")
				if theirs.Tag.Less(tag) != refused {
					t.Errorf("stored as %v", tag)
				}
				m.nodes[1].wantValue("k", map[bool]string{true: "mine", false: "theirs"}[refused])
			})
		})
	}
}

// An offer that is never answered costs the write its outcome, at its deadline (Q2). The offer
// matters here because another peer says, late, that it holds something newer.
func TestAnOvertakenOfferEndsByItsDeadline(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		nd := m.nodes[0]
		m.Stores[2].Hold("k", version.Record{Tag: version.Tag{Counter: 50, Incarnation: 3}, Value: []byte("theirs")})
		nd.filter = func(c *Call) bool {
			switch {
			case c.Member == 1:
				nd.swallow(c)
			case c.Kind == ReadTag:
				v := nd.Current()
				time.AfterFunc(nd.cfg.Timeout*9/10, func() { nd.deliver(v, c) })
			default:
				return false
			}
			return true
		}
		began := time.Now()
		_, err := nd.Set(bg, []byte("k"), []byte("mine"), kv.Options{})
		wantOutcome(t, err, kv.Unknown)
		if took, timeout := time.Since(began), nd.cfg.Timeout; took != timeout {
			t.Errorf("took %v of %v", took, timeout)
		}
	})
}

// A peer that cannot tell what became of an offer will not answer it. The others are asked at once,
// and the write goes on under its tag.
func TestAnOpenOfferAsksTheOthersAtOnce(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		nd := m.nodes[0]
		nd.cfg.HedgeAfter = time.Hour
		nd.mustSet("k", "v")
		synctest.Wait()
		nd.filter = func(c *Call) bool {
			if c.Kind != StoreIf {
				return false
			}
			if stored, _, err := m.Stores[1].PutIf(1, c.Key, c.Have, c.Record); !stored || err != nil {
				t.Errorf("not stored: %v", err)
			}
			c.Status = Open
			go c.End()
			return true
		}
		began := time.Now()
		tag := nd.mustSet("k", "w")
		if took := time.Since(began); took != 0 || tag.Counter != 2 {
			t.Errorf("stored as %v after %v", tag, took)
		}
		nd.filter = nil
		m.nodes[2].wantValue("k", "w")
	})
}

// D10: the peer takes the offer, and the epoch ends before this node has stored its own copy. At
// the next epoch the write asks again, and finds that it was overtaken.
func TestAnEpochThatEndsBeforeTheOwnCopyAsksAgain(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		moved := false
		m.nodes[0].betweenThePhases(func() {
			moved = true
			m.Advance(nil, 0, 1, 2)
			theirs := version.Record{Tag: version.Tag{Counter: 50, Incarnation: 3}, Value: []byte("theirs")}
			for _, r := range m.Stores[1:] {
				if _, err := r.Put(m.Epoch, 0, []byte("k"), &theirs); err != nil {
					t.Error(err)
				}
			}
		})
		_, err := m.nodes[0].Set(bg, []byte("k"), []byte("mine"), kv.Options{})
		wantOutcome(t, err, kv.Unknown)
		if !moved {
			t.Error("the test's schedule did not come about")
		}
	})
}

// After an offer that may have been taken, a clear leaves the outcome unknown.
func TestAClearAfterALostOfferIsUnknown(t *testing.T) {
	for name, change := range map[string]func(*replica.View){
		"clear": func(v *replica.View) { v.Generation++ },
		"purge": func(v *replica.View) { v.Purge++ },
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, func(t *testing.T, m *mesh) {
				m.nodes[0].filter = func(c *Call) bool {
					if c.Kind != StoreIf {
						return false
					}
					m.Advance(change, 0, 1, 2)
					return fail(c)
				}
				_, err := m.nodes[0].Set(bg, []byte("k"), []byte("v"), kv.Options{})
				wantOutcome(t, err, kv.Unknown)
			})
		})
	}
}

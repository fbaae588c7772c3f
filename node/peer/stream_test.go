package peer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/lease"
	"viakv/quorum/version"
)

// keysOf returns the keys of the stores in a request, and nil for another request.
func keysOf(t *testing.T, request []byte) (keys []string) {
	t.Helper()
	op, _, body, err := wire.ParseRequest(request)
	if err != nil || op != wire.Stores {
		return nil
	}
	for len(body) > 0 {
		r, rest, err := wire.NextStore(body)
		if err != nil {
			t.Fatal(err)
		}
		keys, body = append(keys, string(r.Key)), rest
	}
	return keys
}

// gate notes the batches that a node sends, and holds the first one up until it is opened.
type gate struct {
	opened  chan struct{}
	mu      sync.Mutex
	batches [][]string // their keys
}

// gate makes a gate for the batches of the first member.
func (w *world) gate() *gate {
	g := &gate{opened: make(chan struct{})}
	w.through().look = func(c *transport.Call) {
		keys := keysOf(w.t, c.Request)
		if keys == nil {
			return
		}
		g.mu.Lock()
		g.batches = append(g.batches, keys)
		first := len(g.batches) == 1
		g.mu.Unlock()
		if first {
			<-g.opened
		}
	}
	return g
}

// asked is how long a set takes at most until it stores: it first asks the others.
const asked = 100 * time.Millisecond

// What comes while a batch is being sent is the next batch, up to the largest size. Each store is
// acknowledged as its own.
func TestStoresThatComeMeanwhileTravelTogether(t *testing.T) {
	const more = 300
	inWorld(t, 2, func(w *world) {
		m, g := w.nodes[0], w.gate()
		set := func(key string) {
			if _, err := m.coordinator.Set(w.soon(), []byte(key), bytes.Repeat([]byte("v"), 256), kv.Options{W: kv.QuorumAll}); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
		var sets sync.WaitGroup
		sets.Go(func() { set("first") })
		time.Sleep(asked)
		var want []string
		for i := range more {
			key := fmt.Sprintf("key%03d", i)
			want = append(want, key)
			sets.Go(func() { set(key) })
		}
		time.Sleep(asked)
		close(g.opened)
		sets.Wait()
		if full := 2; !slices.Equal(g.batches[0], []string{"first"}) || len(g.batches) != 1+full {
			t.Errorf("%d batches, the first of %d", len(g.batches), len(g.batches[0]))
		}
		got := slices.Concat(g.batches[1:]...)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d stores in the other batches: %v", len(got), got)
		}
		for _, key := range want {
			if w.nodes[1].holds(key) == "" {
				t.Errorf("the peer has no %s", key)
			}
		}
	})
}

// L14: the acknowledgement of a batch says of each record whether the replica vouches for it.
func TestABatchIsVouchedForRecordByRecord(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		s := w.stamp(firstEpoch)
		session := w.nodes[1].Current().Given.Give(s.From, firstEpoch)
		request := wire.AppendRequest(nil, wire.Stores, s)
		var want []bool
		add := func(relied uint64, key string, counter uint64, vouches bool) {
			r := version.Record{Tag: version.Tag{Generation: 1, Counter: counter, Incarnation: s.From}, Value: []byte("v")}
			request = wire.AppendStore(request, relied, []byte(key), &r)
			want = append(want, vouches)
		}
		w.nodes[1].put("newer", 90, "newer")
		for i := range 5 {
			add(0, fmt.Sprint("new", i), 5, true)
		}
		add(0, "newer", 5, false)
		add(session, "newer", 6, true)
		add(session+1, "newer", 7, false)
		add(0, "twice", 5, true)
		add(0, "twice", 6, true)
		add(0, "twice", 5, false)
		add(0, "twice", 6, true) // it is there already
		r := w.inline(wire.OK, request)
		ack, err := wire.ParseAcknowledgement(nil, r.Body, len(want))
		if err != nil || len(ack.Names) != 1 || ack.Names[0] != (lease.Name{Holder: s.From, Session: session}) {
			t.Fatalf("%+v, %v", ack, err)
		}
		for i, v := range want {
			if ack.Vouches(i) != v {
				t.Errorf("record %d: vouches %v", i, !v)
			}
		}
	})
}

// A batch that cannot be read to its end, that has no store, or too many, is refused.
func TestBatchesThatAreRefused(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		r := version.Record{Tag: version.Tag{Generation: 1, Counter: 5, Incarnation: w.nodes[0].incarnation()}, Value: []byte("v")}
		head := wire.AppendRequest(nil, wire.Stores, w.stamp(firstEpoch))
		w.inline(wire.Malformed, head)
		w.inline(wire.Malformed, append(wire.AppendStore(head, 0, []byte("k"), &r), 0))
		all := slices.Clone(head)
		for range wire.MaxStores {
			all = wire.AppendStore(all, 0, []byte("k"), &r)
		}
		w.inline(wire.OK, all)
		w.inline(wire.Malformed, wire.AppendStore(all, 0, []byte("k"), &r))
	})
}

// Stores of two epochs, or for two processes of a member, do not share a message.
func TestABatchHasOneStamp(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		old := w.nodes[0].present.Load()
		w.begin(firstEpoch + 1)
		present := w.nodes[0].present.Load()
		way := w.through()
		way.stop(w.nodes[1].address())
		opened := make(chan struct{})
		var mu sync.Mutex
		var batches [][]string
		way.look = func(c *transport.Call) {
			c.Done = ignored{}
			mu.Lock()
			batches = append(batches, keysOf(t, c.Request))
			first := len(batches) == 1
			mu.Unlock()
			if first {
				<-opened
			}
		}
		record := version.Record{Tag: version.Tag{Counter: 1, Incarnation: 9}}
		add := func(key string, e *Epoch, to version.Incarnation) {
			c := &carrier{call: &quorum.Call{Kind: quorum.Store, Target: to, Records: []quorum.Entry{{Key: []byte(key), Record: &record}}}, epoch: e, link: e.links[1]}
			c.link.stores.add(c)
		}
		peer := w.nodes[1].incarnation()
		go add("first", old, peer)
		synctest.Wait()
		add("a", old, peer)
		add("b", old, peer)
		add("c", present, peer)
		add("d", present, peer+1)
		add("e", present, peer+1)
		close(opened)
		synctest.Wait()
		want := [][]string{{"first"}, {"a", "b"}, {"c"}, {"d", "e"}}
		if !slices.EqualFunc(batches, want, slices.Equal) {
			t.Errorf("%v, want %v", batches, want)
		}
	})
}

// unreliable is a transport that loses stores, and refuses to send some. Its Go takes a while,
// before or after it has passed a store on.
type unreliable struct {
	transport.Transport
	quick bool // Go takes no time

	mu     sync.Mutex
	random *rand.Rand
	lost   map[*transport.Call]bool
	giving map[*transport.Call]int // calls of Go that have not passed the call on yet
	broken bool                    // Cancel was called meanwhile
}

func (u *unreliable) Go(to transport.Address, class transport.Class, call *transport.Call) {
	if wire.Op(call.Request[0]) != wire.Stores {
		u.Transport.Go(to, class, call)
		return
	}
	u.mu.Lock()
	u.giving[call]++
	before, after := time.Duration(u.random.IntN(4))*time.Millisecond, time.Duration(u.random.IntN(30))*time.Millisecond
	fate := u.random.IntN(10)
	u.mu.Unlock()
	if !u.quick {
		time.Sleep(before)
		defer time.Sleep(after)
	}
	u.mu.Lock()
	u.giving[call]--
	u.lost[call] = fate == 0
	u.mu.Unlock()
	switch fate {
	case 0:
	case 1:
		call.Err = transport.ErrNotSent
		call.Done.Complete(call)
	default:
		u.Transport.Go(to, class, call)
	}
}

func (u *unreliable) Cancel(call *transport.Call) bool {
	u.mu.Lock()
	u.broken = u.broken || u.giving[call] > 0
	lost := u.lost[call]
	delete(u.lost, call)
	u.mu.Unlock()
	return lost || u.Transport.Cancel(call)
}

// Whatever becomes of messages, however long it takes to send them, whenever requests give up, and
// while epochs change: each request ends, what was acknowledged by all is at all, and in the end
// nothing is left in the streams.
func TestStreamsEndEmpty(t *testing.T) {
	for seed := range uint64(12) {
		inWorld(t, 3, func(w *world) {
			m := w.nodes[0]
			u := &unreliable{Transport: m.cfg.Transport, quick: seed%3 == 0, random: rand.New(rand.NewPCG(seed, 1)),
				lost: map[*transport.Call]bool{}, giving: map[*transport.Call]int{}}
			m.cfg.Transport = u
			random := rand.New(rand.NewPCG(seed, 2))
			var sets sync.WaitGroup
			var stored atomic.Int32
			for i := range 500 {
				key, value := fmt.Sprint("k", i), fmt.Sprint("v", i)
				left, pause := time.Duration(1+random.IntN(300))*time.Millisecond, time.Duration(random.IntN(3))*time.Millisecond
				sets.Go(func() {
					o := kv.Options{W: kv.QuorumAll, Deadline: time.Now().Add(left)}
					if _, err := m.coordinator.Set(w.soon(), []byte(key), []byte(value), o); err != nil {
						return
					}
					stored.Add(1)
					for _, o := range w.nodes {
						if got := o.holds(key); got != value {
							t.Errorf("seed %d: %s holds %q of %s", seed, o.name(), got, key)
						}
					}
				})
				time.Sleep(pause)
				if i%50 == 49 {
					w.begin(m.Current().Epoch+1, 0) // the others learn of it from their calls
				}
			}
			sets.Wait()
			time.Sleep(10 * time.Second)
			if stored.Load() < 20 {
				t.Errorf("seed %d: only %d sets were acknowledged", seed, stored.Load())
			}
			w.wantEmpty(m)
			u.mu.Lock()
			defer u.mu.Unlock()
			if u.broken {
				t.Errorf("seed %d: a batch was withdrawn while it was being given away", seed)
			}
			for call, lost := range u.lost {
				if lost {
					t.Errorf("seed %d: a lost message was not withdrawn: %x", seed, call.Request)
				}
			}
		})
	}
}

// wantEmpty checks that nothing is left in a member's streams.
func (w *world) wantEmpty(m *member) {
	w.t.Helper()
	for i, k := range m.present.Load().links {
		s := &k.stores
		s.mu.Lock()
		if s.next != nil || s.sending || s.underway != 0 {
			w.t.Errorf("to member %d: %d batches are on their way, one gathers: %v, one is sent: %v", i, s.underway, s.next != nil, s.sending)
		}
		for _, b := range s.spare {
			if b.users != 0 || b.live != 0 || b.giving != 0 || len(b.carriers) != 0 {
				w.t.Errorf("to member %d: a spare batch is in use", i)
			}
		}
		s.mu.Unlock()
	}
}

// L14: each set of a batch is vouched for, or not, as the acknowledgement says of its own record.
func TestASetGoesByItsOwnVouchers(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		m.hold()
		time.Sleep(20 * time.Millisecond)
		if !m.Current().Alone() {
			t.Fatal("not alone")
		}
		// The others doubt the records of keys whose last digit is odd.
		for _, o := range w.nodes[1:] {
			w.answers(o.address(), func(request []byte) []byte {
				keys := keysOf(t, request)
				if keys == nil {
					return wire.AppendReply(nil, wire.Failed, 1, 0, firstEpoch)
				}
				ack, some := wire.Acknowledgement{Doubted: make([]byte, (len(keys)+7)/8)}, false
				for i, key := range keys {
					if key[len(key)-1]%2 == 1 {
						ack.Doubted[i/8] |= 1 << (i % 8)
						some = true
					}
				}
				if !some {
					ack.Doubted = nil
				}
				return wire.AppendAcknowledgement(wire.AppendReply(nil, wire.OK, 1, 0, firstEpoch), &ack)
			})
		}
		g := w.gate()
		var sets sync.WaitGroup
		for i := range 30 {
			sets.Go(func() {
				_, err := m.coordinator.Set(w.soon(), fmt.Appendf(nil, "k%d", i), []byte("v"), kv.Options{})
				if want := []string{"", "unknown"}[i%2]; outcome(err) != want {
					t.Errorf("k%d: %v", i, err)
				}
			})
		}
		synctest.Wait()
		close(g.opened)
		sets.Wait()
		if longest := slices.MaxFunc(g.batches, func(a, b []string) int { return len(a) - len(b) }); len(longest) < 9 {
			t.Errorf("the longest batch has %d stores", len(longest))
		}
	})
}

// A store that is withdrawn before its batch was sent, or while its peer is brought up to date, is
// not sent, if it is the only one. Only the first is a reason to ask the peer after the others.
func TestABatchThatNobodyWaitsForIsNotSent(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		e := w.nodes[0].present.Load()
		link := e.links[1]
		record := version.Record{Tag: version.Tag{Generation: 1, Counter: 1, Incarnation: 9}, Value: []byte("v")}
		store := func(key string) *carrier {
			c := &carrier{call: &quorum.Call{Kind: quorum.Store, Target: w.nodes[1].incarnation(), Records: []quorum.Entry{{Key: []byte(key), Record: &record}}, Began: time.Now()}, epoch: e, link: link}
			c.call.Carrier = c
			return c
		}
		first, second := store("first"), store("second")
		g := w.gate()
		w.answers(w.nodes[1].address(), func([]byte) []byte { return wire.AppendReply(nil, wire.Behind, 1, 0, firstEpoch-1) })
		updated := make(chan struct{})
		w.nodes[0].updating, w.nodes[0].fruitless = updated, true
		go link.stores.add(first)
		synctest.Wait()
		link.stores.add(second) // gathers
		if !w.nodes[0].client.Cancel(second.call) {
			t.Error("a store that gathers cannot be withdrawn")
		}
		close(g.opened)
		time.Sleep(500 * time.Millisecond) // the peer has answered, and is being brought up to date
		if !w.nodes[0].client.Cancel(first.call) || !link.likely() {
			t.Errorf("the peer is likely to answer: %v", link.likely())
		}
		close(updated)
		time.Sleep(time.Second)
		if want := [][]string{{"first"}}; !slices.EqualFunc(g.batches, want, slices.Equal) {
			t.Errorf("sent: %v", g.batches)
		}
		w.wantEmpty(w.nodes[0])
	})
}

// A peer is brought up to date while the goroutine that has sent a batch is still busy. The batch
// is not withdrawn while another goroutine sends it once more, but afterwards.
func TestABatchIsSentOnceMoreWhileItsSenderIsBusy(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		m := w.nodes[0]
		busy := &busy{Transport: m.cfg.Transport, first: make(chan struct{}), second: make(chan struct{})}
		m.cfg.Transport = busy
		w.begin(firstEpoch+1, 0) // the other one is behind
		e := m.present.Load()
		record := version.Record{Tag: version.Tag{Generation: 1, Counter: 1, Incarnation: m.incarnation()}, Value: []byte("v")}
		c := &carrier{call: &quorum.Call{Kind: quorum.Store, Target: w.nodes[1].incarnation(), Records: []quorum.Entry{{Key: []byte("k"), Record: &record}}}, epoch: e, link: e.links[1]}
		go c.link.stores.add(c)
		time.Sleep(time.Second)
		close(busy.first)
		synctest.Wait()
		if ok, _ := c.link.stores.withdraw(c); !ok {
			t.Error("the store was not withdrawn")
		}
		synctest.Wait()
		close(busy.second)
		synctest.Wait()
		if busy.sent != 2 || busy.early || !busy.withdrawn {
			t.Errorf("sent %d times; withdrawn too early: %v, in the end: %v", busy.sent, busy.early, busy.withdrawn)
		}
		w.wantEmpty(m)
	})
}

// busy is a transport whose first Go of a store is busy after it has passed it on, and whose second
// one before that; the second store is lost.
type busy struct {
	transport.Transport
	first, second    chan struct{}
	mu               sync.Mutex
	sent             int
	lost             bool
	early, withdrawn bool
}

func (b *busy) Go(to transport.Address, class transport.Class, call *transport.Call) {
	if wire.Op(call.Request[0]) != wire.Stores {
		b.Transport.Go(to, class, call)
		return
	}
	b.mu.Lock()
	b.sent++
	n := b.sent
	b.mu.Unlock()
	if n == 1 {
		b.Transport.Go(to, class, call)
		<-b.first
		return
	}
	<-b.second
	b.mu.Lock()
	b.lost = true
	b.mu.Unlock()
}

func (b *busy) Cancel(call *transport.Call) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.early = b.early || b.sent == 2 && !b.lost
	b.withdrawn = b.withdrawn || b.lost
	return b.lost
}

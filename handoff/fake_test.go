package handoff

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"viakv/api/sleep"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
	"viakv/ring"
	"viakv/ring/keyspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var seed = keyspace.Seed{7}

// sharing is the prefix of keys that all share one rank: the rank of this prefix.
const sharing = "shared#"

// rankOf returns a key's rank in the fakes' order.
func rankOf(key []byte) keyspace.Rank {
	if bytes.HasPrefix(key, []byte(sharing)) {
		key = key[:len(sharing)]
	}
	return seed.Hash(key).Rank()
}

// fakeMesh is the network and the topology of a few nodes.
type fakeMesh struct {
	mu      sync.Mutex
	nodes   []*fakeNode
	epoch   version.Epoch
	purge   uint64
	gen     version.Generation
	sized   version.Epoch
	delay   time.Duration
	next    version.Incarnation
	hook    func(op string, from, to *fakeNode) error // may let a request fail
	bytes   map[string]int
	longest int       // the longest page or purge list that was sent, in bytes
	lost    *fakeNode // requests to this node get no answer
	silent  bool      // no node looks reachable
	asked   []string
	rules   struct{ need, w int }
}

// fakeNode is one member: store, driver, and what the topology says of it.
type fakeNode struct {
	mesh    *fakeMesh
	self    replica.Member
	down    bool
	store   *replicatest.Store
	driver  *Driver
	view    *replica.View
	over    chan struct{}
	owes    *replica.Barrier
	counter *watermark.Counter
	basis   Basis
	stop    func()
}

func newMesh(t *testing.T, n int, config func(*Config)) *fakeMesh {
	m := &fakeMesh{epoch: 10, delay: time.Millisecond, next: 1, bytes: map[string]int{}}
	for i := range n {
		m.nodes = append(m.nodes, &fakeNode{mesh: m, self: replica.Member{Name: fmt.Sprintf("n%d", i+1)}})
	}
	for _, x := range m.nodes {
		m.boot(t, x, config)
		x.activate(true)
		x.self.Since = 0
	}
	m.step()
	return m
}

// inMesh runs a test in a bubble, with a mesh that stops at its end.
func inMesh(t *testing.T, n int, config func(*Config), test func(*testing.T, *fakeMesh)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, n, config)
		defer m.stop()
		test(t, m)
	})
}

// boot gives a node an empty memory and a new, pending incarnation.
func (m *fakeMesh) boot(t *testing.T, x *fakeNode, config func(*Config)) {
	x.self.Incarnation, x.self.Pending, x.self.Since = 0, m.next, m.epoch+1
	m.next++
	x.counter, x.down = new(watermark.Counter), false
	x.store = replicatest.New(m.epoch, rankOf)
	ids := uint64(0)
	cfg := Config{Views: x, Peers: x, Topology: x, NewID: func() uint64 {
		ids++
		return uint64(x.self.Holder())<<32 | ids
	}, Logger: zap.NewNop(), RepairEvery: -1, PurgeEvery: -1, CheckEvery: -1}
	if config != nil {
		config(&cfg)
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	x.driver = d
}

// activate makes a node active, or one that rebuilds.
func (x *fakeNode) activate(active bool) {
	x.self.Incarnation, x.self.Pending = x.self.Holder(), 0
	if !active {
		x.self.Incarnation, x.self.Pending = 0, x.self.Incarnation
	}
}

// run starts a node's driver. It stops with the mesh, or at the end of the test.
func (x *fakeNode) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.driver.Run(ctx)
	}()
	x.stop = func() { cancel(); <-done }
}

func (m *fakeMesh) stop() {
	for _, x := range m.nodes {
		if x.stop != nil {
			x.stop()
			x.stop = nil
		}
	}
}

// step begins the next epoch. Every node that is not down adopts it.
func (m *fakeMesh) step() { m.stepWith(0) }

func (m *fakeMesh) stepWith(list uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	var names []string
	for _, x := range m.nodes {
		names = append(names, x.self.Name)
	}
	for _, x := range m.nodes {
		if !x.down {
			m.adoptLocked(x, names, list)
		}
	}
}

func (m *fakeMesh) adoptLocked(x *fakeNode, names []string, list uint64) {
	v := &replica.View{
		Epoch: m.epoch, Generation: m.gen, Purge: m.purge, Resized: m.sized, Seed: seed, Ring: ring.Build(names),
		Slots: len(m.nodes), Settled: true, Need: m.rules.need, Barrier: x.owes, Store: x.store, Counter: x.counter, Marks: new(watermark.Marks),
	}
	if v.Need == 0 {
		v.Need = len(m.nodes) - len(m.nodes)/2
	}
	for _, o := range m.nodes {
		v.Members = append(v.Members, o.self)
		v.Settled = v.Settled && o.owes == nil
	}
	slices.SortFunc(v.Members, func(a, b replica.Member) int { return cmp.Compare(a.Name, b.Name) })
	v.Self = slices.IndexFunc(v.Members, func(o replica.Member) bool { return o.Name == x.self.Name })
	x.store.Advance(m.epoch, func(r version.Record) bool { return r.Tag.Generation >= m.gen })
	agreed, err := x.driver.Agreed(list)
	if err == nil && agreed != nil {
		for _, t := range agreed.Tombstones {
			x.store.Purge(t)
		}
		x.driver.Purged(len(agreed.Tombstones))
	}
	over := x.over
	superseded := make(chan struct{})
	v.Superseded = superseded
	x.view, x.over = v, superseded
	if over != nil {
		close(over)
	}
}

func (x *fakeNode) Current() *replica.View {
	x.mesh.mu.Lock()
	defer x.mesh.mu.Unlock()
	return x.view
}

var errCut = errors.New("cut")

// reach passes a request to a member as the network and the receiver's checks do (D1).
func (x *fakeNode) reach(ctx context.Context, op string, v *replica.View, to *replica.Member) (*fakeNode, error) {
	if !sleep.For(ctx, x.mesh.delay) {
		return nil, ctx.Err()
	}
	x.mesh.mu.Lock()
	defer x.mesh.mu.Unlock()
	if l := x.mesh.lost; l != nil && l.self.Name == to.Name {
		x.mesh.mu.Unlock()
		<-ctx.Done()
		x.mesh.mu.Lock()
		return nil, ctx.Err()
	}
	x.mesh.asked = append(x.mesh.asked, op+" "+x.self.Name+">"+to.Name)
	for _, y := range x.mesh.nodes {
		if y.self.Name != to.Name {
			continue
		}
		if x.mesh.hook != nil {
			if err := x.mesh.hook(op, x, y); err != nil {
				return nil, err
			}
		}
		switch {
		case y.down || x.down:
			return nil, errCut
		case y.self.Holder() != to.Holder():
			return nil, errors.New("another incarnation")
		case y.view.Epoch != v.Epoch:
			return nil, replica.ErrEpoch
		case !y.self.Active() && op != "push":
			return nil, errors.New("not active")
		}
		// This is the node as it is now: it may be restarted meanwhile.
		return &fakeNode{self: y.self, store: y.store, driver: y.driver}, nil
	}
	return nil, errors.New("no such member")
}

func (m *fakeMesh) moved(op string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes[op] += n
}

func (x *fakeNode) Digests(ctx context.Context, v *replica.View, to *replica.Member, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	if len(ranges) > maxDigests {
		return nil, errors.New("too many ranges")
	}
	y, err := x.reach(ctx, "digests", v, to)
	if err != nil {
		return nil, err
	}
	x.mesh.moved("digests", len(ranges)*digestSize)
	for _, r := range ranges {
		d, err := y.store.Digest(v.Epoch, r)
		if err != nil {
			return nil, err
		}
		dst = append(dst, d)
	}
	return dst, nil
}

func (x *fakeNode) Tags(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, max int, dst []replica.TagAt) ([]replica.TagAt, keyspace.Rank, error) {
	y, err := x.reach(ctx, "tags", v, to)
	if err != nil {
		return nil, 0, err
	}
	entries, err := y.store.Entries(v.Epoch, r)
	if err != nil {
		return nil, 0, err
	}
	for _, i := range entries {
		switch n := len(dst); {
		case n > 0 && dst[n-1].Rank == i.Rank:
			dst[n-1] = replica.TagAt{Rank: i.Rank, Shared: true}
		case n >= max:
			return dst, i.Rank, nil
		default:
			dst = append(dst, replica.TagAt{Rank: i.Rank, Tag: i.Record.Tag, Owner: i.Record.Owner})
		}
	}
	x.mesh.moved("tags", len(dst)*tagSize)
	return dst, r.To, nil
}

func (x *fakeNode) Copy(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, after []byte, max int, p *replica.Page) error {
	y, err := x.reach(ctx, "copy", v, to)
	if err != nil {
		return err
	}
	if err := y.store.Page(v.Epoch, r, after, max, p); err != nil {
		return err
	}
	return x.fits(p)
}

// fits returns an error for a page that would not fit one message.
func (x *fakeNode) fits(p *replica.Page) error {
	size := 0
	for i := range p.Entries {
		size += wireSize(&p.Entries[i])
	}
	x.mesh.mu.Lock()
	defer x.mesh.mu.Unlock()
	if x.mesh.longest = max(x.mesh.longest, size); size > messageLimit {
		return errors.New("the reply is longer than a message may be")
	}
	return nil
}

// messageLimit bounds a message between the fakes, in bytes.
const messageLimit = 4 << 20

func (x *fakeNode) Fetch(ctx context.Context, v *replica.View, to *replica.Member, ranks []keyspace.Rank, after []byte, p *replica.Page) error {
	y, err := x.reach(ctx, "fetch", v, to)
	if err != nil {
		return err
	}
	if len(ranks) > MaxEntries || !slices.IsSorted(ranks) || len(slices.Compact(slices.Clone(ranks))) != len(ranks) {
		return errors.New("too many ranks, or out of order")
	}
	p.Reset()
	for i, r := range ranks {
		if i > 0 && len(p.Entries) >= fetchedAtOnce {
			p.Next = keyspace.Place{Rank: r}
			break
		}
		if err := y.store.Fill(v.Epoch, keyspace.Range{From: r, To: r + 1}, after, pageBytes, p); err != nil {
			return err
		}
		if len(p.Next.Key) > 0 {
			break
		}
		after, p.Next = nil, keyspace.Place{}
	}
	size := 0
	for i := range p.Entries {
		size += wireSize(&p.Entries[i])
	}
	x.mesh.moved("records", size)
	return x.fits(p)
}

// fetchedAtOnce is about how many records the fakes answer a fetch with. There are so few that most
// fetches take several replies.
const fetchedAtOnce = 100

func (x *fakeNode) Push(ctx context.Context, v *replica.View, to *replica.Member, entries []replica.Entry) error {
	y, err := x.reach(ctx, "push", v, to)
	if err != nil {
		return err
	}
	if len(entries) > MaxEntries {
		return errors.New("too many entries")
	}
	for i := range entries {
		if _, err := y.store.Put(v.Epoch, 0, entries[i].Key, &entries[i].Record); err != nil {
			return err
		}
		x.mesh.moved("records", wireSize(&entries[i]))
	}
	return nil
}

func (x *fakeNode) Hold(ctx context.Context, v *replica.View, to *replica.Member, list *List) (bool, error) {
	y, err := x.reach(ctx, "hold", v, to)
	if err != nil {
		return false, err
	}
	size := 0
	for i := range list.Tombstones {
		size += list.Tombstones[i].Size()
	}
	x.mesh.mu.Lock()
	x.mesh.longest = max(x.mesh.longest, size)
	x.mesh.mu.Unlock()
	if size > messageLimit {
		return false, errors.New("the request is longer than a message may be")
	}
	c := *list
	c.Tombstones = slices.Clone(list.Tombstones)
	return y.driver.Hold(&c)
}

func (x *fakeNode) Reachable(_ *replica.View, to *replica.Member) bool {
	x.mesh.mu.Lock()
	defer x.mesh.mu.Unlock()
	for _, y := range x.mesh.nodes {
		if y.self.Holder() == to.Holder() {
			return !y.down && !x.down && !x.mesh.silent
		}
	}
	return false
}

// Rebuilt stands for the topology's Activate (M2).
func (x *fakeNode) Rebuilt(_ context.Context, at Basis) error {
	m := x.mesh
	m.mu.Lock()
	for _, y := range m.nodes {
		if y != x && y.self.Since > at.Epoch {
			m.mu.Unlock()
			return ErrStartOver
		}
	}
	if at.Epoch < x.self.Since || at.Generation != m.gen || at.Purge != m.purge || at.Epoch < m.sized {
		m.mu.Unlock()
		return ErrStartOver
	}
	x.activate(true)
	x.basis = at
	m.mu.Unlock()
	m.step()
	return nil
}

func (x *fakeNode) BarrierDone(_ context.Context, change version.Epoch) error {
	m := x.mesh
	m.mu.Lock()
	if x.owes == nil || x.owes.Change != change {
		m.mu.Unlock()
		return errors.New("no such change")
	}
	x.owes = nil
	m.mu.Unlock()
	m.step()
	return nil
}

func (x *fakeNode) Purge(_ context.Context, list uint64, expect version.Epoch) error {
	m := x.mesh
	m.mu.Lock()
	ok := m.epoch == expect
	for _, y := range m.nodes {
		ok = ok && y.self.Active() && y.owes == nil
	}
	if ok {
		m.purge++
	}
	m.mu.Unlock()
	if !ok {
		return errors.New("refused")
	}
	m.stepWith(list)
	return nil
}

// fill stores n keys on all nodes.
func (m *fakeMesh) fill(n int) {
	for i := range n {
		for _, x := range m.nodes {
			x.store.Merge(fmt.Sprintf("key-%06d", i), value(1, "v"))
		}
	}
}

// value returns a record with a counter and a value, of incarnation 1.
func value(counter uint64, v string) version.Record {
	return version.Record{Tag: version.Tag{Counter: counter, Incarnation: 1}, Value: []byte(v)}
}

func tombstone(counter uint64) version.Record {
	return version.Record{Tag: version.Tag{Counter: counter, Incarnation: 1, Removed: true}, Owner: version.Operation{Incarnation: 1, Sequence: counter}}
}

// equal reports whether the given nodes hold the same records.
func (m *fakeMesh) equal(nodes ...*fakeNode) bool {
	var first replica.Digest
	for i, x := range nodes {
		d, _ := x.store.Digest(x.store.Epoch(), keyspace.All())
		if i == 0 {
			first = d
		} else if d != first {
			return false
		}
	}
	return true
}

// eventually polls a condition, in the bubble's time.
func eventually(t *testing.T, within time.Duration, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); {
		if cond() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not within %v: %s", within, what)
}

// becomesActive waits until a rebuild is over.
func (x *fakeNode) becomesActive(t *testing.T, within time.Duration) {
	t.Helper()
	eventually(t, within, x.self.Name+" is active", func() bool { return x.Current().Me().Active() })
}

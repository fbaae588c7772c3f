package quorum

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
	"viakv/ring"
	"viakv/ring/keyspace"
)

// mesh is a cluster in memory: replicas that obey the rules of epochs, and peers whose answers a
// test can bend.
type mesh struct {
	t        testing.TB
	replicas []*fakeReplica
	nodes    []*node
	epoch    version.Epoch

	mu     sync.Mutex
	misses []string
}

// replica is one copy of all keys in a map.
type fakeReplica struct {
	mu      sync.Mutex
	epoch   version.Epoch
	records map[string]version.Record
	full    bool
}

var errEpoch = errors.New("another epoch")

func (r *fakeReplica) at(e version.Epoch) error {
	if r.epoch != e {
		return errEpoch
	}
	return nil
}

func (r *fakeReplica) Get(e version.Epoch, _ keyspace.Hash, key, dst []byte) (version.Record, []byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.records[string(key)]
	return rec, dst, r.at(e)
}

func (r *fakeReplica) Tag(e version.Epoch, h keyspace.Hash, key, dst []byte) (version.Record, []byte, error) {
	rec, dst, err := r.Get(e, h, key, dst)
	rec.Value = nil
	return rec, dst, err
}

func (r *fakeReplica) Put(e version.Epoch, _ keyspace.Hash, key []byte, rec *version.Record) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.at(e); err != nil {
		return false, err
	}
	have := r.records[string(key)]
	merged := version.Merge(have, *rec)
	r.records[string(key)] = merged.Clone()
	return merged.Tag != have.Tag || merged.Owner != have.Owner, nil
}

func (r *fakeReplica) putIf(e version.Epoch, key []byte, have version.Tag, rec *version.Record) (bool, version.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	here := r.records[string(key)]
	if err := r.at(e); err != nil {
		return false, here, err
	}
	if here.Tag != have || r.full {
		here.Value = nil
		return false, here, nil
	}
	r.records[string(key)] = rec.Clone()
	return true, version.Record{}, nil
}

func (r *fakeReplica) Vote(e version.Epoch, _ keyspace.Hash, key []byte, tomb *version.Record) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.at(e); err != nil {
		return false, err
	}
	have := r.records[string(key)]
	switch c := have.Tag.Compare(tomb.Tag); {
	case c == 0:
		return have.Owner == tomb.Owner && have.Owner != version.Contested, nil
	case c > 0:
		return false, nil
	}
	r.records[string(key)] = tomb.Clone()
	return true, nil
}

func (r *fakeReplica) Full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.full
}

func (r *fakeReplica) get(key string) *version.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.records[key]
	return &rec
}

// node is one coordinator over the mesh; it implements Views, Peers and Hints for it.
type node struct {
	*Coordinator
	m    *mesh
	self int
	view atomic.Pointer[View]
	over chan struct{}

	// filter may answer a call in the replica's place (true), or change what follows. It runs
	// before delivery.
	filter func(c *Call) bool
	down   [MaxMembers]atomic.Bool // unlikely members
	owes   [MaxMembers]atomic.Bool // members that may be there, and have left something unanswered
	busy   atomic.Bool             // something comes back from all members all the time

	mu   sync.Mutex
	lost map[*Call]bool // swallowed: they end only by Cancel
}

func newMesh(t testing.TB, n int) *mesh {
	m := &mesh{t: t, epoch: 1}
	for range n {
		m.replicas = append(m.replicas, &fakeReplica{epoch: 1, records: map[string]version.Record{}})
	}
	for i := range n {
		nd := &node{m: m, self: i, lost: map[*Call]bool{}}
		nd.Coordinator = New(Config{Views: nd, Peers: nd, Hints: nd, Timeout: 2 * time.Second,
			HedgeAfter: 5 * time.Millisecond, StoreTimeout: 20 * time.Millisecond})
		m.nodes = append(m.nodes, nd)
		nd.install(m.newView(i, nil))
	}
	return m
}

func (m *mesh) newView(self int, change func(*View)) *View {
	n := len(m.replicas)
	v := &View{Epoch: m.epoch, R: n/2 + 1, W: n/2 + 1, Seed: keyspace.Seed{1}, Slots: n, Self: self, Replica: m.replicas[self], Clock: &Clock{}}
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("n%c", 'a'+i))
		v.Members = append(v.Members, Member{Name: names[i], Incarnation: version.Incarnation(i + 1)})
	}
	v.Ring = ring.Build(names)
	if change != nil {
		change(v)
	}
	return v
}

func (nd *node) install(v *View) {
	next := make(chan struct{})
	v.Superseded = next
	if old := nd.view.Load(); old != nil {
		v.Clock = old.Clock
	}
	nd.view.Store(v)
	if nd.over != nil {
		close(nd.over)
	}
	nd.over = next
}

// advance takes all replicas and the given nodes to the next epoch.
func (m *mesh) advance(change func(*View), nodes ...int) {
	m.epoch++
	for _, r := range m.replicas {
		r.mu.Lock()
		r.epoch = m.epoch
		r.mu.Unlock()
	}
	for _, i := range nodes {
		m.nodes[i].install(m.newView(i, change))
	}
}

func (nd *node) Current() *View              { return nd.view.Load() }
func (nd *node) Likely(_ *View, m int) bool  { return !nd.down[m].Load() }
func (nd *node) Answers(v *View, m int) bool { return nd.Likely(v, m) && !nd.owes[m].Load() }
func (nd *node) Heard(*View, int) (at time.Time) {
	if nd.busy.Load() {
		at = time.Now()
	}
	return at
}

func (nd *node) Miss(member string, _ version.Incarnation, key []byte) {
	nd.m.mu.Lock()
	defer nd.m.mu.Unlock()
	nd.m.misses = append(nd.m.misses, member+"/"+string(key))
}

func (nd *node) Cancel(c *Call) bool {
	nd.mu.Lock()
	defer nd.mu.Unlock()
	was := nd.lost[c]
	delete(nd.lost, c)
	return was
}

func (nd *node) swallow(c *Call) {
	nd.mu.Lock()
	nd.lost[c] = true
	nd.mu.Unlock()
}

func (nd *node) Start(v *View, c *Call) {
	c.Status, c.Err, c.NotSent, c.Reply, c.Full, c.Counter = Failed, nil, false, version.Record{}, false, 0
	if nd.filter != nil && nd.filter(c) {
		return
	}
	nd.deliver(v, c)
}

func (nd *node) deliver(v *View, c *Call) {
	var rec version.Record
	have := c.Have
	if c.Kind == Store || c.Kind == Vote || c.Kind == StoreIf {
		rec = c.Record.Clone()
	}
	key := append([]byte(nil), c.Key...)
	go func() {
		r, h, e := nd.m.replicas[c.Member], v.Seed.Hash(key), v.Epoch
		var err error
		c.Status = OK
		switch c.Kind {
		case ReadTag:
			c.Reply, _, err = r.Tag(e, h, key, nil)
		case ReadRecord:
			c.Reply, _, err = r.Get(e, h, key, nil)
		case Store:
			_, err = r.Put(e, h, key, &rec)
		case StoreIf:
			var stored bool
			if stored, c.Reply, err = r.putIf(e, key, have, &rec); stored {
				c.Status = Same
			}
		case Vote:
			var yes bool
			if yes, err = r.Vote(e, h, key, &rec); !yes {
				c.Status = Nack
			}
		case Remove:
			switch e := nd.m.nodes[c.Member].RemoveHere(bg, key, kv.Options{R: c.R, W: c.W, Deadline: c.Deadline}); {
			case errors.Is(e, kv.ErrMissing):
				c.Status = Missing
			case e != nil:
				c.Status, c.Err = Open, e
			}
		}
		if c.Kind <= ReadRecord && err == nil && c.Reply.Tag == c.Have && !c.Have.IsZero() {
			c.Status = Same
		}
		c.Full = r.Full()
		c.Counter = nd.m.nodes[c.Member].Current().Clock.Now()
		if err != nil {
			c.Status = Stale
		}
		c.End()
	}()
}

// unsent ends a call that has not left its node.
func unsent(c *Call) bool {
	c.NotSent = true
	return fail(c)
}

// fail ends a call without a reply.
func fail(c *Call) bool {
	c.Status, c.Err = Failed, errors.New("down")
	go c.End()
	return true
}

package quorum

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// mesh is a cluster in memory: replicas that obey the rules of epochs, and peers whose answers a
// test can change.
type mesh struct {
	*replicatest.Cluster
	t     testing.TB
	nodes []*node

	mu     sync.Mutex
	misses []string
}

// node is one coordinator over the mesh. It implements Views, Peers and Hints for its coordinator.
type node struct {
	*Coordinator
	*replicatest.Views
	m    *mesh
	self int

	// filter runs before delivery. It returns true when it answers the call in the replica's place.
	// It may also change what follows.
	filter func(c *Call) bool
	down   [MaxMembers]atomic.Bool // members that are unlikely to answer
	owes   [MaxMembers]atomic.Bool // members that have an answer overdue, but may be there
	busy   atomic.Bool             // replies come back from all members all the time

	mu   sync.Mutex
	lost map[*Call]bool // swallowed calls, which end only by Cancel
}

// newMesh returns a mesh. In real time no replica is asked because another one is slow: on a busy
// machine any may be.
func newMesh(t testing.TB, n int) *mesh {
	m := &mesh{t: t, Cluster: replicatest.NewCluster(n, func(key []byte) keyspace.Rank { return replicatest.Seed.Hash(key).Rank() })}
	for i := range n {
		nd := &node{Views: m.Views[i], m: m, self: i, lost: map[*Call]bool{}}
		nd.Coordinator = New(Config{Views: nd, Peers: nd, Hints: nd, Timeout: 2 * time.Second,
			HedgeAfter: time.Minute, StoreTimeout: 20 * time.Millisecond})
		m.nodes = append(m.nodes, nd)
	}
	return m
}

// inMesh runs a test in a bubble, with a mesh whose coordinators ask more replicas when the first
// are slow.
func inMesh(t *testing.T, n int, test func(*testing.T, *mesh)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, n)
		for _, nd := range m.nodes {
			nd.cfg.HedgeAfter = 5 * time.Millisecond
		}
		test(t, m)
	})
}

func (nd *node) Likely(_ *replica.View, m int) bool  { return !nd.down[m].Load() }
func (nd *node) Answers(v *replica.View, m int) bool { return nd.Likely(v, m) && !nd.owes[m].Load() }
func (nd *node) Heard(*replica.View, int) (at time.Time) {
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

func (nd *node) Close(v *replica.View, member int, n lease.Name) {
	if there := nd.m.nodes[member].Current(); there.Given.Close(n) == 0 {
		v.Ended.Note(there.Incarnation(), n)
	}
}

func (nd *node) swallow(c *Call) {
	nd.mu.Lock()
	nd.lost[c] = true
	nd.mu.Unlock()
}

// silence makes a member answer none of the node's calls.
func (nd *node) silence(member int) {
	nd.filter = func(c *Call) bool {
		if c.Member != member {
			return false
		}
		nd.swallow(c)
		return true
	}
}

func (nd *node) Start(v *replica.View, c *Call) {
	c.Status, c.Err, c.NotSent, c.Reply, c.Full, c.Confirmed = Failed, nil, false, version.Record{}, false, false
	c.Doubts, c.Names = nil, nil
	if nd.filter != nil && nd.filter(c) {
		return
	}
	nd.deliver(v, c)
}

func (nd *node) deliver(v *replica.View, c *Call) { nd.encode(v, c)() }

// deliverAfter delivers a call that is on its way for some time.
func (nd *node) deliverAfter(late time.Duration, v *replica.View, c *Call) {
	time.AfterFunc(late, nd.encode(v, c))
}

// encode returns what delivers a call. The call's keys and records may change after that.
func (nd *node) encode(v *replica.View, c *Call) (deliver func()) {
	var records []Entry
	if c.Kind == Store || c.Kind == Vote {
		for _, e := range c.Records {
			rec := e.Record.Clone()
			records = append(records, Entry{bytes.Clone(e.Key), &rec})
		}
	}
	key := bytes.Clone(c.Key)
	serve := func() {
		r, h, e := nd.m.Stores[c.Member], v.Seed.Hash(key), v.Epoch
		var err error
		c.Status = OK
		switch c.Kind {
		case ReadTag:
			c.Reply, _, err = r.Tag(e, h, key, nil)
		case ReadRecord:
			c.Reply, _, err = r.Get(e, h, key, nil)
		case Store:
			for i, s := range records {
				var top bool
				h := v.Seed.Hash(s.Key)
				if top, err = r.Put(e, h, s.Key, s.Record); err != nil {
					break
				}
				if own, _, _ := r.Tag(e, h, s.Key, nil); !top && own.Tag != s.Record.Tag {
					c.Doubts = append(c.Doubts, i)
				}
			}
		case Vote:
			var yes bool
			if yes, err = r.Vote(e, v.Seed.Hash(records[0].Key), records[0].Key, records[0].Record); !yes {
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
		// A peer that holds what the coordinator holds says only so.
		if c.Kind <= ReadRecord && err == nil && c.Reply.Tag == c.Have && !c.Have.IsZero() {
			c.Status = Same
		}
		c.Full = r.Full()
		there := nd.m.nodes[c.Member].Current()
		v.Counter.Observe(there.Counter.Now())
		v.Marks.Learn(there.Me().Holder(), there.Counter.Mark())
		c.Confirmed = there.Confirmed(&c.Reply)
		c.Names = there.Given.Names()
		if there.Given.Named(lease.Name{Holder: v.Incarnation(), Session: c.Relied}) {
			c.Doubts = nil
		}
		if err != nil {
			c.Status = Stale
		}
		c.End()
	}
	return func() { go serve() }
}

// unsent ends a call as one that has not left its node.
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

package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"viakv/api/kv"
)

// mix is what clients ask for, in shares of a hundred. The rest of the requests are reads.
type mix struct {
	set, remove, wipe, scan int
	burst                   int // some sets that come to a node at once
	quorums                 int // the requests that bring quorums of their own
}

// clients sends random requests to the nodes of a cluster, until the stop channel is closed.
type clients struct {
	c       *cluster
	h       *history
	cluster string // ID of the cluster whose nodes are asked
	shape   shape
	think   int // a client waits at most so many milliseconds between two requests
	stop    chan struct{}
	running sync.WaitGroup
}

func (w *clients) start(n int, seed uint64) {
	for i := range n {
		r := rand.New(rand.NewPCG(seed, uint64(100+i)))
		w.running.Go(func() { w.run(i, r) })
	}
}

func (w *clients) end() {
	close(w.stop)
	w.running.Wait()
}

func (w *clients) run(id int, r *rand.Rand) {
	for {
		select {
		case <-w.stop:
			return
		default:
		}
		all := w.c.running()
		if len(all) > 0 {
			p := all[r.IntN(len(all))]
			// A node that has not joined yet is a cluster of its own.
			if !p.paused.Load() && p.node.Status().Cluster == w.cluster {
				if key, in := w.one(id, p, r); in.kind == set && w.shape.follow {
					w.follow(id, key)
				}
			}
		}
		time.Sleep(time.Duration(1+r.IntN(w.think)) * time.Millisecond)
	}
}

// follow reads a key at each node, one after the other.
func (w *clients) follow(id int, key string) {
	for _, p := range w.c.running() {
		if !p.paused.Load() && p.node.Status().Cluster == w.cluster {
			w.send(id, p, key, input{kind: get, at: p.name}, kv.Options{})
		}
	}
}

// one sends one request and notes its outcome.
func (w *clients) one(id int, p *process, r *rand.Rand) (string, input) {
	key, m := keyOf(r.IntN(w.shape.keys)), &w.shape.mix
	in := input{kind: get, at: p.name}
	switch x := r.IntN(100); {
	case x < m.set:
		in.kind, in.value = set, w.h.value()
	case x < m.set+m.remove:
		in.kind = remove
	case x < m.set+m.remove+m.wipe:
		in.kind = wipe
	case x < m.set+m.remove+m.wipe+m.scan:
		w.scan(id, p)
		return key, in
	case x < m.set+m.remove+m.wipe+m.scan+m.burst:
		return w.burst(id, p, r)
	}
	var o kv.Options
	if r.IntN(100) < w.shape.mix.quorums {
		o = options(in.kind, r)
		in.at = fmt.Sprintf("%s with r=%v w=%v", in.at, o.R, o.W)
	}
	w.send(id, p, key, in, o)
	return key, in
}

// burst sends some sets to a node at once, which writes several of them together. It returns one.
func (w *clients) burst(id int, p *process, r *rand.Rand) (key string, in input) {
	var sets sync.WaitGroup
	for range 2 + r.IntN(9) {
		k, i := keyOf(r.IntN(w.shape.keys)), input{kind: set, at: p.name + " in a burst", value: w.h.value()}
		sets.Go(func() { w.send(id, p, k, i, kv.Options{}) })
		key, in = k, i
	}
	sets.Wait()
	return key, in
}

func keyOf(i int) string { return fmt.Sprint("k", i) }

// scan reads all keys by one scan, which counts as a read of each key: of its value, or that it is
// missing.
func (w *clients) scan(id int, p *process) {
	called := w.h.now()
	all, err := w.all(p)
	select {
	case <-p.dead:
		return
	default:
	}
	var u *kv.Unavailable
	switch {
	case errors.Is(err, kv.ErrCleared), errors.As(err, &u) && u.Outcome == kv.None:
		return
	case err != nil:
		w.c.t.Errorf("a scan at %s: %v", p.name, err)
		return
	}
	for i := range w.shape.keys {
		key := keyOf(i)
		value, there := all[key]
		w.h.add(id, key, input{kind: get, at: p.name + " by a scan"}, output{value: value, missing: !there}, called)
	}
}

// all returns what a scan delivers.
func (w *clients) all(p *process) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	o := kv.ScanOptions{Values: true}
	if w.shape.clocks {
		o.R = kv.QuorumMajority
	}
	s, err := p.node.Scan(ctx, o)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	values := map[string]int{}
	for batch := new(kv.Batch); ; {
		ok, err := s.Next(ctx, batch)
		if !ok {
			return values, err
		}
		for _, pair := range batch.Pairs {
			if _, twice := values[string(pair.Key)]; twice {
				w.c.t.Errorf("a scan at %s delivers %s twice", p.name, pair.Key)
			}
			if values[string(pair.Key)], err = strconv.Atoi(string(pair.Value)); err != nil {
				w.c.t.Errorf("a scan returned a value that no client wrote: %q", pair.Value)
			}
		}
	}
}

// send sends a request and notes its outcome.
func (w *clients) send(id int, p *process, key string, in input, o kv.Options) {
	if w.shape.clocks && in.kind == get {
		o.R = kv.QuorumMajority
	}
	called := w.h.now()
	out, failed := w.ask(p, key, in, o)
	select {
	case <-p.dead: // the process was killed, and its answer reached no client
		out, failed = output{unknown: true}, false
	default:
	}
	if w.shape.clocks && in.kind == remove && out.missing {
		return // the answer rests on clocks, and nothing has happened
	}
	if !failed {
		w.h.add(id, key, in, out, called)
	}
}

// options draws quorums with which a request keeps the promise, whatever size the cluster has by
// then. Reads meet every write, and writes are answered once W replicas hold them.
func options(k kind, r *rand.Rand) (o kv.Options) {
	readers := []kv.Quorum{kv.QuorumDefault, kv.QuorumMajority, kv.QuorumAll}
	writers := []kv.Quorum{kv.QuorumDefault, kv.QuorumMajority, kv.QuorumAll}
	switch k {
	case get:
		writers = append(writers, 1) // no matter: w has no effect on a read
	case set:
		readers = append(readers, 1) // a write asks enough replicas, whatever r says
	}
	o.R, o.W = readers[r.IntN(len(readers))], writers[r.IntN(len(writers))]
	return o
}

// ask sends a request and returns what the node answered. failed says that certainly nothing has
// happened.
func (w *clients) ask(p *process, key string, in input, o kv.Options) (out output, failed bool) {
	ctx, k := context.Background(), []byte(key)
	var err error
	switch in.kind {
	case get:
		var v []byte
		if v, _, err = p.node.Get(ctx, nil, k, o); err == nil {
			if out.value, err = strconv.Atoi(string(v)); err != nil {
				w.c.t.Errorf("a read returned a value that no client wrote: %q", v)
			}
		}
	case set:
		value := []byte(strconv.Itoa(in.value))
		_, err = p.node.Set(ctx, k, value, o)
		clear(k) // a server uses the memory of a request again
		clear(value)
	case remove:
		err = p.node.Remove(ctx, k, o)
	case wipe:
		err = p.node.Clear(ctx, kv.Options{Deadline: time.Now().Add(2 * time.Second)})
	}
	var u *kv.Unavailable
	switch {
	case err == nil:
		return out, false
	case errors.Is(err, kv.ErrMissing):
		return output{missing: true}, false
	case errors.As(err, &u) && u.Outcome == kv.None:
		return output{}, true
	case errors.As(err, &u):
		return output{unknown: true}, false
	}
	w.c.t.Errorf("%s of %s at %s: %v", in.kind, key, p.name, err)
	return output{unknown: true}, false
}

package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// mix is what clients ask for, in shares of a hundred. The rest of the requests are reads.
type mix struct {
	set, remove, wipe, scan int
	burst                   int // some sets that come to a node at once
	batch                   int // some sets of different keys that are one request
	many                    int // some gets of different keys that are one request
	quorums                 int // the requests that bring quorums of their own
}

// clients sends random requests to the nodes of a cluster, until the stop channel is closed.
type clients struct {
	c       *cluster
	h       *history
	watch   *watch
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
	case x < m.set+m.remove+m.wipe+m.scan+m.burst+m.batch:
		return w.batch(id, p, r)
	case x < m.set+m.remove+m.wipe+m.scan+m.burst+m.batch+m.many:
		w.many(id, p, r)
		return key, in
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

// batch sends sets of different keys to a node as one request. Each has an outcome of its own. It
// returns one.
func (w *clients) batch(id int, p *process, r *rand.Rand) (string, input) {
	var o kv.Options
	at := p.name + " in a batch"
	if r.IntN(100) < w.shape.mix.quorums {
		o = options(set, r)
		at = fmt.Sprintf("%s with r=%v w=%v", at, o.R, o.W)
	}
	if r.IntN(4) == 0 {
		o.Deadline = time.Now().Add(time.Duration(1+r.IntN(60)) * time.Millisecond)
	}
	keys := w.some(r)
	writes, values := make([]kv.Write, len(keys)), make([]int, len(keys))
	for i, k := range keys {
		values[i] = w.h.value()
		writes[i] = kv.Write{Key: []byte(keyOf(k)), Value: []byte(strconv.Itoa(values[i])), Err: errNoOutcome}
	}
	called := w.h.now()
	p.node.SetMany(context.Background(), writes, o)
	for i := range writes {
		clear(writes[i].Key) // a server uses the memory of a request again
		clear(writes[i].Value)
	}
	if slices.ContainsFunc(writes, func(x kv.Write) bool { return (x.Err == nil) != (writes[0].Err == nil) }) {
		w.h.count("batch in part")
	}
	for i, k := range keys {
		in := input{kind: set, at: at, value: values[i]}
		if writes[i].Err == nil {
			w.watch.answer(keyOf(k), writes[i].Version, strconv.Itoa(in.value))
		}
		out, failed := w.outcome(p, keyOf(k), in, writes[i].Err)
		w.note(id, p, keyOf(k), in, out, failed, called)
	}
	return keyOf(keys[0]), input{kind: set}
}

// errNoOutcome stands where a batch has to set the outcome of a value.
var errNoOutcome = errors.New("a value of a batch has no outcome")

// some draws two keys or more.
func (w *clients) some(r *rand.Rand) []int { return r.Perm(w.shape.keys)[:2+r.IntN(w.shape.keys-1)] }

// many sends gets of different keys to a node as one request. Each has an outcome of its own.
func (w *clients) many(id int, p *process, r *rand.Rand) {
	var o kv.Options
	at := p.name + " by many gets"
	if w.shape.clocks {
		o.R = kv.QuorumMajority
	} else if r.IntN(100) < w.shape.mix.quorums {
		o = options(get, r)
		at = fmt.Sprintf("%s with r=%v w=%v", at, o.R, o.W)
	}
	if r.IntN(4) == 0 {
		o.Deadline = time.Now().Add(time.Duration(1+r.IntN(60)) * time.Millisecond)
	}
	keys := w.some(r)
	reads := make([]kv.Read, len(keys))
	for i, k := range keys {
		reads[i] = kv.Read{Key: []byte(keyOf(k)), Err: errNoOutcome}
	}
	called := w.h.now()
	p.node.GetMany(context.Background(), nil, reads, o)
	for i, k := range keys {
		in, read := input{kind: get, at: at}, &reads[i]
		out, failed := w.outcome(p, keyOf(k), in, read.Err)
		if read.Err == nil {
			out = w.value(keyOf(k), read.Version, read.Value)
		}
		w.note(id, p, keyOf(k), in, out, failed, called)
	}
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
			w.watch.answer(string(pair.Key), pair.Version, string(pair.Value))
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
	w.note(id, p, key, in, out, failed, called)
}

// note notes the outcome of a request that was called at the given time and has ended now. failed
// says that certainly nothing has happened.
func (w *clients) note(id int, p *process, key string, in input, out output, failed bool, called int64) {
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
	var tag version.Tag
	var err error
	switch in.kind {
	case get:
		var v []byte
		if v, tag, err = p.node.Get(ctx, nil, k, o); err == nil {
			out = w.value(key, tag, v)
		}
	case set:
		value := []byte(strconv.Itoa(in.value))
		tag, err = p.node.Set(ctx, k, value, o)
		clear(k) // a server uses the memory of a request again
		clear(value)
		if err == nil {
			w.watch.answer(key, tag, strconv.Itoa(in.value))
		}
	case remove:
		err = p.node.Remove(ctx, k, o)
	case wipe:
		err = p.node.Clear(ctx, kv.Options{Deadline: time.Now().Add(2 * time.Second)})
	}
	if err == nil {
		return out, false
	}
	return w.outcome(p, key, in, err)
}

// value returns the outcome of a get that has found a value.
func (w *clients) value(key string, tag version.Tag, v []byte) (out output) {
	w.watch.answer(key, tag, string(v))
	var err error
	if out.value, err = strconv.Atoi(string(v)); err != nil {
		w.c.t.Errorf("a read returned a value that no client wrote: %q", v)
	}
	return out
}

// outcome returns the outcome of a request that tells nothing but an error, or nil.
func (w *clients) outcome(p *process, key string, in input, err error) (out output, failed bool) {
	var u *kv.Unavailable
	switch {
	case err == nil:
		return output{}, false
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

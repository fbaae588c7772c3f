package workload

import (
	"math/rand/v2"
	"sync/atomic"
)

// Kind is the kind of a request.
type Kind uint8

// The kinds of requests. The zero value only reads.
const (
	Get Kind = iota
	Set
	Has
	Remove
	kinds
)

// Kinds is the number of kinds, for tables indexed by a kind.
const Kinds = int(kinds)

var kindNames = [Kinds]string{"get", "set", "is", "rm"}

func (k Kind) String() string { return kindNames[k] }

// Op is one request on the key of an index.
type Op struct {
	Kind  Kind
	Index uint64
	Salt  uint32 // of a set's value
}

// Source gives a worker its requests. Each worker has its own.
type Source interface {
	// Next returns the next request. It returns false when there are no more.
	Next() (Op, bool)
}

// FirstKeys returns a function that makes sources, one for each worker. Together they set each of
// the first n keys once.
func FirstKeys(n uint64) func(worker int) Source {
	next := new(atomic.Uint64)
	return func(int) Source { return firstKeys{next, n} }
}

type firstKeys struct {
	next *atomic.Uint64
	n    uint64
}

func (s firstKeys) Next() (Op, bool) {
	i := s.next.Add(1) - 1
	return Op{Kind: Set, Index: i}, i < s.n
}

// Streams returns a function that makes endless sources of a mix on n keys, one for each worker.
// The same seed gives a worker the same requests, apart from the keys that other workers insert.
func Streams(m Mix, distribution string, n, seed uint64) (func(worker int) Source, error) {
	p := newPopulation(n)
	pickers, err := newPickers(distribution, p)
	if err != nil {
		return nil, err
	}
	return func(worker int) Source { return newStream(m, pickers(), p, seed<<20+uint64(worker)) }, nil
}

// stream is an endless sequence of requests of a mix. It is not safe for concurrent use.
type stream struct {
	mix        Mix
	sum        int
	keys       picker
	population *population
	random     *rand.Rand
	second     Op // the set of a modify
	pending    bool
}

func newStream(m Mix, keys picker, p *population, seed uint64) *stream {
	return &stream{mix: m, sum: m.sum(), keys: keys, population: p, random: rand.New(rand.NewPCG(seed, mix(seed)))}
}

// Next implements Source.
func (s *stream) Next() (Op, bool) {
	if s.pending {
		s.pending = false
		return s.second, true
	}
	n := s.random.IntN(s.sum)
	for _, c := range [...]struct {
		kind  Kind
		share int
	}{{Get, s.mix.Get}, {Set, s.mix.Set}, {Has, s.mix.Has}, {Remove, s.mix.Remove}} {
		if n < c.share {
			return s.op(c.kind, s.keys.next(s.random)), true
		}
		n -= c.share
	}
	if n < s.mix.Insert {
		return s.op(Set, s.population.insert()), true
	}
	index := s.keys.next(s.random)
	s.second, s.pending = s.op(Set, index), true
	return s.op(Get, index), true
}

func (s *stream) op(k Kind, index uint64) Op {
	o := Op{Kind: k, Index: index}
	if k == Set {
		o.Salt = s.random.Uint32()
	}
	return o
}

package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Mix is the share of each operation, in parts of their sum.
type Mix struct {
	Get, Set, Has, Remove int
	Insert                int // sets of new keys
	Modify                int // a get, followed by a set of the same key
}

// ycsb has the workloads of the Yahoo! Cloud Serving Benchmark that have a meaning here. Workload e
// scans ranges, which a hash space does not have.
var ycsb = map[string]struct {
	mix          Mix
	distribution string
}{
	"a": {Mix{Get: 50, Set: 50}, "zipfian"},
	"b": {Mix{Get: 95, Set: 5}, "zipfian"},
	"c": {Mix{Get: 100}, "zipfian"},
	"d": {Mix{Get: 95, Insert: 5}, "latest"},
	"f": {Mix{Get: 50, Modify: 50}, "zipfian"},
}

// Letter returns the mix of a YCSB workload and the distribution that goes with it.
func Letter(name string) (Mix, string, error) {
	y, ok := ycsb[strings.ToLower(name)]
	if !ok {
		return Mix{}, "", fmt.Errorf("mix %q: choose a, b, c, d or f, or give shares as in get=95,set=5", name)
	}
	return y.mix, y.distribution, nil
}

func (m *Mix) shares() []struct {
	name  string
	share *int
} {
	return []struct {
		name  string
		share *int
	}{{"get", &m.Get}, {"set", &m.Set}, {"is", &m.Has}, {"rm", &m.Remove}, {"insert", &m.Insert}, {"modify", &m.Modify}}
}

// ParseMix parses shares like "get=95,set=5".
func ParseMix(s string) (m Mix, err error) {
	shares, sum := m.shares(), 0
	for part := range strings.SplitSeq(s, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(part), "=")
		at := slices.IndexFunc(shares, func(e struct {
			name  string
			share *int
		}) bool {
			return e.name == name
		})
		n, err := strconv.Atoi(number)
		if at < 0 || err != nil || n < 0 || n > 1_000_000 {
			return m, fmt.Errorf("share %q: give get, set, is, rm, insert or modify, and a number, as in get=95,set=5", part)
		}
		*shares[at].share += n
		sum += n
	}
	if sum == 0 {
		return m, fmt.Errorf("mix %q: all shares are zero", s)
	}
	return m, nil
}

func (m Mix) String() string {
	var parts []string
	for _, e := range m.shares() {
		if *e.share > 0 {
			parts = append(parts, e.name+"="+strconv.Itoa(*e.share))
		}
	}
	return strings.Join(parts, ",")
}

func (m Mix) sum() int { return m.Get + m.Set + m.Has + m.Remove + m.Insert + m.Modify }

// Stream is an endless sequence of requests of a mix. It is not safe for concurrent use.
type Stream struct {
	mix        Mix
	sum        int
	keys       Distribution
	population *Population
	random     *rand.Rand
	second     Op // the set of a modify
	pending    bool
}

// NewStream returns a stream of a mix. The same seed gives the same requests, apart from the keys
// that other workers insert.
func NewStream(m Mix, keys Distribution, p *Population, seed uint64) *Stream {
	return &Stream{mix: m, sum: m.sum(), keys: keys, population: p, random: rand.New(rand.NewPCG(seed, mix(seed)))}
}

// Next returns the next request.
func (s *Stream) Next() (Op, bool) {
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
			return s.op(c.kind, s.keys.Next(s.random)), true
		}
		n -= c.share
	}
	if n < s.mix.Insert {
		return s.op(Set, s.population.Insert()), true
	}
	index := s.keys.Next(s.random)
	s.second, s.pending = s.op(Set, index), true
	return s.op(Get, index), true
}

func (s *Stream) op(k Kind, index uint64) Op {
	o := Op{Kind: k, Index: index}
	if k == Set {
		o.Salt = s.random.Uint32()
	}
	return o
}

package workload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
)

// picker chooses the keys that are asked for. It is not safe for concurrent use: each worker has
// its own.
type picker interface {
	// next draws an index below the population.
	next(r *rand.Rand) uint64
}

// population is the current number of keys; inserts make it grow. It is safe for concurrent use.
type population struct{ n atomic.Uint64 }

func newPopulation(n uint64) *population {
	p := new(population)
	p.n.Store(n)
	return p
}

// size returns the current number of keys.
func (p *population) size() uint64 { return p.n.Load() }

// insert adds a key and returns its index.
func (p *population) insert() uint64 { return p.n.Add(1) - 1 }

// Distributions are the names of the distributions: how often each key is asked for.
var Distributions = []string{"uniform", "zipfian", "latest", "hotspot", "sequential"}

// newPickers returns a function that makes pickers of a distribution, one for each worker. Tables
// that are costly to compute, or that workers share, are made once.
func newPickers(name string, p *population) (func() picker, error) {
	if p.size() == 0 {
		return nil, fmt.Errorf("there are no keys to draw from: give at least one")
	}
	switch name {
	case "uniform":
		return func() picker { return uniform{p} }, nil
	case "zipfian":
		z := newZipf(p.size())
		return func() picker { return zipfian{z, p.size()} }, nil
	case "latest":
		z := newZipf(p.size())
		return func() picker { return latest{z, p} }, nil
	case "hotspot":
		return func() picker { return hotspot{p} }, nil
	case "sequential":
		drawn := new(atomic.Uint64)
		return func() picker { return sequential{drawn, p} }, nil
	}
	return nil, fmt.Errorf("distribution %q: choose one of %v", name, Distributions)
}

type uniform struct{ p *population }

func (d uniform) next(r *rand.Rand) uint64 { return r.Uint64N(d.p.size()) }

// zipfian scatters the ranks over the whole space, as YCSB does, so that the hot keys are not
// neighbours.
type zipfian struct {
	z *zipf
	n uint64
}

func (d zipfian) next(r *rand.Rand) uint64 { return mix(d.z.rank(r.Float64())) % d.n }

// latest prefers the keys inserted last.
type latest struct {
	z *zipf
	p *population
}

func (d latest) next(r *rand.Rand) uint64 {
	n := d.p.size()
	return n - 1 - min(d.z.rank(r.Float64()), n-1)
}

// hotspot sends four requests of five to a fifth of the keys.
type hotspot struct{ p *population }

func (d hotspot) next(r *rand.Rand) uint64 {
	n := d.p.size()
	hot := max(n/5, 1)
	if hot == n || r.Uint32()%5 != 0 {
		return r.Uint64N(hot)
	}
	return hot + r.Uint64N(n-hot)
}

// sequential goes through the space in order, all workers together.
type sequential struct {
	drawn *atomic.Uint64
	p     *population
}

func (d sequential) next(*rand.Rand) uint64 { return (d.drawn.Add(1) - 1) % d.p.size() }

// zipf draws ranks whose frequency falls with the rank to the power of theta. The method is that of
// Gray et al., "Quickly Generating Billion-Record Synthetic Databases", SIGMOD 1994: constant time
// after one sum over all ranks.
type zipf struct {
	n                 float64
	alpha, eta, zetaN float64
	second            float64 // below this, rank 1
}

const theta = 0.99 // as in YCSB

func newZipf(n uint64) *zipf {
	zetaN, zeta2 := zeta(n), zeta(2)
	return &zipf{
		n: float64(n), alpha: 1 / (1 - theta), zetaN: zetaN, second: 1 + math.Pow(0.5, theta),
		eta: (1 - math.Pow(2/float64(n), 1-theta)) / (1 - zeta2/zetaN),
	}
}

// zeta returns the sum of 1/i^theta. Beyond the exact part the integral replaces the sum; its error
// there is far below the noise of any run.
func zeta(n uint64) (sum float64) {
	const exact = 100_000
	for i := uint64(1); i <= min(n, exact); i++ {
		sum += math.Pow(float64(i), -theta)
	}
	if n > exact {
		integral := func(x float64) float64 { return math.Pow(x, 1-theta) / (1 - theta) }
		sum += integral(float64(n)+0.5) - integral(exact+0.5)
	}
	return sum
}

func (z *zipf) rank(u float64) uint64 {
	switch uz := u * z.zetaN; {
	case uz < 1:
		return 0
	case uz < z.second:
		return uint64(min(1, z.n-1))
	}
	return uint64(min(z.n-1, z.n*math.Pow(z.eta*u-z.eta+1, z.alpha)))
}

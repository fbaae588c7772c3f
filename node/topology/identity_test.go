package topology

import (
	"math/rand/v2"
	"testing"
)

func TestRandomIsRepeatedWhereItIsSeeded(t *testing.T) {
	seeded := func() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
	r := seeded()
	first, second := NewRandom(r), NewRandom(r)
	a, b, c := first.Uint64(), second.Uint64(), NewRandom(seeded()).Uint64()
	if a != c || a == b {
		t.Errorf("%x and %x of one seed, %x of the next", a, c, b)
	}
	if a, b := NewRandom(nil).Uint64(), NewRandom(nil).Uint64(); a == b {
		t.Errorf("the system seeds two generators with %x", a)
	}
}

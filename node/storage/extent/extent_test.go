package extent

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestClasses(t *testing.T) {
	last := 0
	for k := range classes {
		size := classBytes(k)
		if size <= last || classOf(size) != k || classOf(last+1) != k {
			t.Fatalf("class %d has %d bytes, the one before %d; classOf gives %d for the size and %d for the least", k, size, last, classOf(size), classOf(last+1))
		}
		if n := last + 1; k > 0 && size-n > n/8 {
			t.Fatalf("class %d: %d bytes for %d", k, size, n)
		}
		last = size
	}
	if last != MaxBytes || classBytes(0) != minBytes || classOf(0) != 0 || Round(4097) != 4608 {
		t.Fatalf("classes from %d to %d; 4097 is rounded to %d", classBytes(0), last, Round(4097))
	}
}

type piece struct {
	ref  Ref
	size int
	fill byte
}

// Blocks that are out never overlap and keep their content, and the bookkeeping is exact.
func TestPoolAgainstAList(t *testing.T) {
	p := New(false)
	defer p.Close()
	rapid.Check(t, func(t *rapid.T) {
		var out []piece
		fill := byte(0)
		free := func(i int) {
			x := out[i]
			if b := p.Bytes(x.ref, x.size, x.size); !bytes.Equal(b, bytes.Repeat([]byte{x.fill}, x.size)) {
				t.Fatalf("the block of %d bytes at %x has changed", x.size, x.ref)
			}
			p.Free(x.ref)
			out = slices.Delete(out, i, i+1)
		}
		t.Repeat(map[string]func(*rapid.T){
			"allocate": func(t *rapid.T) {
				n := rapid.IntRange(1, MaxBytes).Draw(t, "bytes")
				for range rapid.IntRange(1, 20).Draw(t, "times") {
					ref, size := p.Allocate(n)
					if size != Round(n) || size < n {
						t.Fatalf("a block of %d bytes for %d", size, n)
					}
					fill++
					b := p.Bytes(ref, size, size)
					for i := range b {
						b[i] = fill
					}
					out = append(out, piece{ref, size, fill})
				}
			},
			"free": func(t *rapid.T) {
				for range rapid.IntRange(0, min(20, len(out))).Draw(t, "times") {
					free(rapid.IntRange(0, len(out)-1).Draw(t, "which"))
				}
			},
			"": func(t *rapid.T) {
				var blocks int64
				extents := map[Ref]bool{}
				for _, x := range out {
					blocks += int64(x.size)
					extents[x.ref>>extentBits] = true
				}
				s := p.Stats()
				if s.Blocks != blocks || s.InUse != int64(len(extents))*Bytes || s.InUse != p.InUse() {
					t.Fatalf("%d bytes in %d extents are out; %+v", blocks, len(extents), s)
				}
				if sum := s.InUse + s.Resting + s.Released; sum != int64(p.fresh)*Bytes || s.Mapped < sum {
					t.Fatalf("%d extents were handed out; %+v", p.fresh, s)
				}
			},
		})
		for len(out) > 0 {
			free(len(out) - 1)
		}
	})
}

func TestEmptyExtentsServeAnyClassAndGoBackBeyondTheReserve(t *testing.T) {
	p := New(true)
	defer p.Close()
	var refs []Ref
	const extents = 4 * reserve
	for range extents * Bytes / 4096 {
		r, _ := p.Allocate(4096)
		p.Bytes(r, 1, 1)[0] = 1
		refs = append(refs, r)
	}
	for _, r := range refs {
		p.Free(r)
	}
	s := p.Stats()
	if s.InUse != 0 || s.Blocks != 0 || s.Resting != reserve*Bytes || s.Resting+s.Released != extents*Bytes {
		t.Fatalf("after all was freed: %+v", s)
	}
	fresh := p.fresh
	for range extents * (Bytes / 5120) {
		r, n := p.Allocate(5000)
		if b := p.Bytes(r, n, n); len(b) != 5120 {
			t.Fatalf("%d bytes", len(b))
		}
	}
	if s = p.Stats(); p.fresh != fresh || s.Resting != 0 || s.Released != 0 {
		t.Fatalf("%d fresh extents although there were empty ones; %+v", p.fresh-fresh, s)
	}
}

// Half of the blocks of many extents are freed, in a pattern that empties no extent. Moving the
// blocks that Sparse reports packs the rest.
func TestSparseBlocksMoveTogether(t *testing.T) {
	p := New(false)
	defer p.Close()
	const size = 8192
	var refs []Ref
	for range 100 * Bytes / size {
		r, _ := p.Allocate(size)
		if p.Sparse(r) {
			t.Fatal("a block of a full extent is called sparse")
		}
		refs = append(refs, r)
	}
	var kept []Ref
	for i, r := range refs {
		if i%2 == 0 {
			p.Free(r)
		} else {
			kept = append(kept, r)
		}
	}
	if p.InUse() != 100*Bytes {
		t.Fatalf("%d bytes in use: the test shows nothing", p.InUse())
	}
	moves := 0
	for range 3 {
		for i, r := range kept {
			if p.Sparse(r) {
				kept[i], _ = p.Allocate(size)
				p.Free(r)
				moves++
			}
		}
	}
	if got := p.InUse(); got > 60*Bytes {
		t.Fatalf("%d extents are in use for the blocks of fifty", got/Bytes)
	}
	if moves > len(kept) {
		t.Fatalf("%d moves of %d blocks", moves, len(kept))
	}
}

func TestManyCallers(t *testing.T) {
	p := New(false)
	defer p.Close()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var refs []Ref
			for i := range 5000 {
				n := minBytes + (i*g*37)%8192
				r, size := p.Allocate(n)
				b := p.Bytes(r, 8, size)
				copy(b, []byte{byte(g), byte(i), byte(i >> 8)})
				refs = append(refs, r)
				if i%3 == 2 {
					p.Free(refs[len(refs)-2])
					refs = slices.Delete(refs, len(refs)-2, len(refs)-1)
				}
			}
			for _, r := range refs {
				if p.Bytes(r, 8, 8)[0] != byte(g) {
					t.Errorf("a block of caller %d was overwritten", g)
				}
				p.Free(r)
			}
		})
	}
	wg.Wait()
	if s := p.Stats(); s.Blocks != 0 || s.InUse != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestFreeingTwicePanics(t *testing.T) {
	p := New(false)
	defer p.Close()
	r, _ := p.Allocate(1000)
	_, _ = p.Allocate(1000) // keeps the extent in its class
	p.Free(r)
	defer func() {
		if recover() == nil {
			t.Fatal("a block could be freed twice")
		}
	}()
	p.Free(r)
}

// Where the system maps no region, a region comes from the heap. Giving it or its pages back must
// do no harm.
func TestMemoryOfTheHeapIsNotUnmapped(t *testing.T) {
	b := make([]byte, 4*Bytes)
	discard(b[:Bytes])
	release(b)
	for i := range b {
		b[i] = byte(i)
	}
	if b[len(b)-1] != byte(len(b)-1) {
		t.Fatal("the memory is not there")
	}
}

func TestNothingAllocates(t *testing.T) {
	p := New(false)
	defer p.Close()
	_, _ = p.Allocate(3000)
	if n := testing.AllocsPerRun(100, func() {
		r, size := p.Allocate(3000)
		_ = p.Bytes(r, 10, size)
		p.Free(r)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

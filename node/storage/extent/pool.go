package extent

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
)

// Bytes is the length of an extent.
const Bytes = 1 << extentBits

const (
	extentBits = 17
	mapWords   = Bytes / minBytes / 64

	// reserve is how many empty extents stay resident for the next class that needs one: 4 MiB, and
	// beyond that one for each reserveShare extents in use.
	reserve      = 4 << 20 / Bytes
	reserveShare = 32
)

// Ref names a block by its place in the concatenation of all regions.
type Ref uint64

// Pool is a set of extents. Its methods, except Close, are safe for concurrent use.
type Pool struct {
	huge    bool
	classes [classes]class
	inUse   atomic.Int64 // extents
	blocks  atomic.Int64 // bytes of the blocks that are out

	mu      sync.Mutex
	mapped  int    // regions
	fresh   uint32 // extents that were ever handed out
	resting stack  // empty, resident
	cold    stack  // empty, with their pages given back
	regions [maxRegions]region
}

type region struct {
	bytes   []byte
	extents []extent
}

// extent is the bookkeeping of one extent. The lock of its class guards it while it has a class;
// otherwise the pool's lock does.
type extent struct {
	free [mapWords]uint64 // bit set: the block is free
	// next and prev link the lists of a class; the stacks of the pool use next alone. Both hold an
	// extent's number plus one; zero ends a list.
	next, prev uint32
	room       uint16 // free blocks
	class      uint8
}

// class is one block size. Its extents with free blocks are listed by how full they are, and the
// fullest serve first. So the emptier ones can become empty and go back to the pool. That keeps a
// store compact when its sizes drift.
type class struct {
	mu    sync.Mutex
	heads [shares]uint32 // each an extent's number plus one, zero for an empty list
}

// shares is the number of lists of a class: one for extents with up to an eighth of their blocks
// free, one for up to two eighths, and so on.
const shares = 8

type stack struct {
	top uint32 // the extent's number plus one, zero for an empty stack
	n   int
}

// Stats is a pool's state.
type Stats struct {
	InUse    int64 // bytes of extents that have a block out
	Blocks   int64 // bytes of the blocks that are out
	Resting  int64 // bytes of empty extents that stay resident
	Released int64 // bytes of empty extents whose pages were given back
	Mapped   int64 // bytes of address space
}

// New returns an empty pool. Huge pages make lookups faster, and the first touch of memory slower.
func New(hugePages bool) *Pool { return &Pool{huge: hugePages} }

// Close gives all memory back. No block may be used after that.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.mapped {
		release(p.regions[i].bytes)
		p.regions[i] = region{}
	}
	p.mapped = 0
}

// Allocate returns a block of at least n bytes and its true length. n must not exceed MaxBytes.
func (p *Pool) Allocate(n int) (Ref, int) {
	k := classOf(n)
	size := classBytes(k)
	c := &p.classes[k]
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.fullest()
	if !ok {
		i = p.take()
		p.extent(i).begin(k)
		c.push(p, i)
	}
	e := p.extent(i)
	before := e.share()
	block := e.pop()
	c.relist(p, i, before)
	p.blocks.Add(int64(size))
	return Ref(uint64(i)<<extentBits + uint64(block*size)), size
}

// Free takes a block back. It panics if the block is free already.
func (p *Pool) Free(r Ref) {
	i := uint32(r >> extentBits)
	e := p.extent(i)
	k := int(e.class) // E2
	size := classBytes(k)
	c := &p.classes[k]
	c.mu.Lock()
	before := e.share()
	e.put(int(r&(Bytes-1)) / size)
	p.blocks.Add(-int64(size))
	empty := int(e.room) == Bytes/size
	if empty {
		c.unlink(p, i, before)
	} else {
		c.relist(p, i, before)
	}
	c.mu.Unlock()
	if empty {
		p.giveBack(i)
	}
}

// Sparse reports whether it helps to move a block. It does if three things hold: a good part of
// what is in use is free (looseShare), more than a quarter of the block's own extent is free, and
// another extent, at least as full, has room for the block.
//
// The holder of blocks asks now and then, and moves them. The pool cannot, since it does not know
// the holders. Without that, blocks of sizes that have gone out of use would each keep an extent.
func (p *Pool) Sparse(r Ref) bool {
	if inUse := p.InUse(); inUse-p.blocks.Load() < inUse/looseShare {
		return false
	}
	own := uint32(r >> extentBits)
	e := p.extent(own)
	c := &p.classes[e.class] // E2
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.share() < shares/4 {
		return false
	}
	// A move goes only to an extent that is at least as full. Each move then adds to the sum of the
	// squares of what the extents hold, so moving comes to an end.
	i, _ := c.fullest()
	return i != own && p.extent(i).room <= e.room
}

// looseShare sets the part of what is in use, a tenth, that may be free before blocks are worth
// moving.
const looseShare = 10

// InUse returns the bytes of all extents of which a block is out. Empty extents do not count: the
// next block of any size takes one of them first.
func (p *Pool) InUse() int64 { return p.inUse.Load() * Bytes }

// Stats returns the pool's state. It reads the parts one after the other.
func (p *Pool) Stats() (s Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.InUse = p.InUse()
	s.Blocks = p.blocks.Load()
	s.Resting = int64(p.resting.n) * Bytes
	s.Released = int64(p.cold.n) * Bytes
	s.Mapped = int64(p.mapped) * regionBytes
	return s
}

// Bytes returns the first n bytes of a block, as a slice of the given capacity.
func (p *Pool) Bytes(r Ref, n, capacity int) []byte {
	at := int(r & (regionBytes - 1))
	return p.regions[r>>regionBits].bytes[at : at+n : at+capacity]
}

func (p *Pool) extent(i uint32) *extent {
	const perRegion = regionBits - extentBits
	return &p.regions[i>>perRegion].extents[i&(1<<perRegion-1)]
}

// take returns an extent without a class.
func (p *Pool) take() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse.Add(1)
	if i, ok := p.resting.pop(p); ok {
		return i
	}
	if i, ok := p.cold.pop(p); ok {
		return i
	}
	if int(p.fresh) == p.mapped<<(regionBits-extentBits) {
		if p.mapped == maxRegions {
			panic(fmt.Sprintf("extent: %d regions of %d MiB are in use; this program cannot address more", maxRegions, regionBytes>>20))
		}
		p.regions[p.mapped] = region{bytes: reserveRegion(p.huge), extents: make([]extent, 1<<(regionBits-extentBits))}
		p.mapped++
	}
	i := p.fresh
	p.fresh++
	return i
}

// giveBack takes an extent whose blocks are all free. Resting extents beyond the reserve are given
// to the system, at most two for each one taken. So after a clear their number shrinks along with
// the reserve.
func (p *Pool) giveBack(i uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	inUse := p.inUse.Add(-1)
	p.resting.push(p, i)
	for range 2 {
		if p.resting.n <= reserve+int(inUse/reserveShare) {
			return
		}
		j, _ := p.resting.pop(p)
		p.mu.Unlock() // discard is a system call; meanwhile no list holds the extent
		discard(p.Bytes(Ref(j)<<extentBits, Bytes, Bytes))
		p.mu.Lock()
		p.cold.push(p, j)
	}
}

func (s *stack) push(p *Pool, i uint32) {
	p.extent(i).next = s.top
	s.top = i + 1
	s.n++
}

func (s *stack) pop(p *Pool) (uint32, bool) {
	if s.top == 0 {
		return 0, false
	}
	i := s.top - 1
	s.top = p.extent(i).next
	s.n--
	return i, true
}

// share returns the number of the list of its class that an extent belongs to, or -1 for a full
// extent.
func (e *extent) share() int {
	if e.room == 0 {
		return -1
	}
	return (int(e.room) - 1) * shares / (Bytes / classBytes(int(e.class)))
}

func (c *class) fullest() (uint32, bool) {
	for _, head := range c.heads {
		if head != 0 {
			return head - 1, true
		}
	}
	return 0, false
}

// relist moves an extent to the list of its share, if that is not the list it was on before.
func (c *class) relist(p *Pool, i uint32, before int) {
	if p.extent(i).share() != before {
		c.unlink(p, i, before)
		c.push(p, i)
	}
}

func (c *class) push(p *Pool, i uint32) {
	e := p.extent(i)
	share := e.share()
	if share < 0 {
		return
	}
	e.prev, e.next = 0, c.heads[share]
	if e.next != 0 {
		p.extent(e.next - 1).prev = i + 1
	}
	c.heads[share] = i + 1
}

func (c *class) unlink(p *Pool, i uint32, share int) {
	if share < 0 {
		return
	}
	e := p.extent(i)
	if e.next != 0 {
		p.extent(e.next - 1).prev = e.prev
	}
	if e.prev != 0 {
		p.extent(e.prev - 1).next = e.next
	} else {
		c.heads[share] = e.next
	}
}

// begin gives an empty extent to a class.
func (e *extent) begin(class int) {
	n := Bytes / classBytes(class)
	e.class, e.room = uint8(class), uint16(n)
	for w := range e.free {
		switch left := n - 64*w; {
		case left >= 64:
			e.free[w] = ^uint64(0)
		case left > 0:
			e.free[w] = 1<<left - 1
		default:
			e.free[w] = 0
		}
	}
}

func (e *extent) pop() int {
	for w, free := range e.free {
		if free != 0 {
			bit := bits.TrailingZeros64(free)
			e.free[w] &^= 1 << bit
			e.room--
			return 64*w + bit
		}
	}
	panic("extent: an extent in the list of those with room has none")
}

func (e *extent) put(block int) {
	w, bit := block/64, uint64(1)<<(block%64)
	if e.free[w]&bit != 0 {
		panic("extent: a block was freed twice")
	}
	e.free[w] |= bit
	e.room++
}

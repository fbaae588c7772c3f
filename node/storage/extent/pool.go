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
	mapWords   = Bytes / MinBytes / 64

	// Empty extents stay resident for the next class that needs one: 4 MiB of them, and a thirty-second part of what is in use.
	reserve      = 4 << 20 / Bytes
	reserveShare = 32
)

// Ref names a block: its place in the concatenation of all regions.
type Ref uint64

// Pool is a set of extents. Its methods, but for Close, are safe for concurrent use.
type Pool struct {
	huge    bool
	classes [classes]class
	inUse   atomic.Int64 // extents
	blocks  atomic.Int64 // bytes of the blocks that are out

	mu      sync.Mutex
	mapped  int    // regions
	fresh   uint32 // extents that were ever handed out
	resting stack  // empty, resident
	cold    stack  // empty, their pages given back
	regions [maxRegions]region
}

type region struct {
	bytes   []byte
	extents []extent
}

// extent is the book of one extent. The lock of its class guards it while it has one, and else the pool's.
type extent struct {
	free       [mapWords]uint64 // bit set: the block is free
	next, prev uint32           // in a list of its class, or in the pool's stack: an extent plus one, zero ends it
	room       uint16           // free blocks
	class      uint8
}

// class is one block size. Its extents with room are listed by how full they are, and the fullest serve first: so the emptier ones
// may run dry and go back to the pool, which is what keeps a store compact whose sizes drift.
type class struct {
	mu    sync.Mutex
	heads [shares]uint32 // an extent plus one; zero ends a list
}

// shares is the number of lists of a class: extents with up to an eighth of their blocks free, up to two, and so on.
const shares = 8

type stack struct {
	top uint32 // the extent plus one
	n   int
}

// New returns an empty pool. Huge pages make lookups faster and the first touch of memory slower.
func New(hugePages bool) *Pool { return &Pool{huge: hugePages} }

// Close gives all memory back. No block may be used any more.
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

// Free takes a block back.
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

// Sparse reports whether it helps to move a block: much of what is in use is free, a quarter of the block's extent among it, and
// another extent, at least as full, has room for the block. Whoever holds blocks asks now and then, and moves them; the pool cannot, since it does
// not know the holders. Without that, blocks of sizes that have gone out of use would each keep an extent.
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
	// Only to one at least as full: then each move adds to the sum of the squares of what extents hold, and moving ends.
	i, _ := c.fullest()
	return i != own && p.extent(i).room <= e.room
}

// looseShare is the part of what is in use that may be free before blocks are worth moving.
const looseShare = 10

// Bytes returns a block's memory: the first n bytes, with so much capacity.
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

// giveBack takes an extent whose blocks are all free. What rests above the reserve is given to the system, two extents at a
// time: so after a clear the resting ones shrink along with their allowance.
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
		p.mu.Unlock() // a system call; the extent is nobody's meanwhile
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

// share returns which list of its class an extent belongs to, -1 for a full one.
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

// relist moves an extent to the list of its share, if that is another one than before.
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
